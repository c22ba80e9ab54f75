import { CqrsOutboxError } from '@cqrs-outbox/core';

/** Savepoints of MikroORM, as Kysely's dialects write them: those of users have other names. */
const SAVEPOINT = /^(savepoint|release savepoint|release|rollback to) [`"]?(trx\d+)[`"]?$/i;

/** The nested transactions of one transaction that are still running, by the statements that begin and end them. */
export class OpenSavepoints {
  /** By their names: those of the same depth have the same. */
  readonly #counts = new Map<string, number>();

  /**
   * Notes what a statement does when it is sent. What ends a savepoint ends it, whatever becomes of it: the database may say that it
   * is gone already.
   *
   * @returns what is to be called when it fails
   */
  note(sql: string): (() => void) | undefined {
    const [, verb, name] = SAVEPOINT.exec(sql) ?? [];
    if (!name) return undefined;
    const isOpened = verb?.toLowerCase() === 'savepoint';
    this.count(name, isOpened ? 1 : -1);
    return isOpened ? () => this.count(name, -1) : undefined;
  }

  /** @throws when there is one */
  verifyNone(): void {
    for (const count of this.#counts.values()) if (count > 0) throw nestedLeftRunning();
  }

  private count(name: string, by: 1 | -1): void {
    this.#counts.set(name, Math.max(0, (this.#counts.get(name) ?? 0) + by));
  }
}

function nestedLeftRunning(): CqrsOutboxError {
  return new CqrsOutboxError(
    'UNIT_OF_WORK_ROLLED_BACK',
    'The unit of work was rolled back, since a transaction inside of it was still running at its end, and a part of that would ' +
      'be lost: await em.transactional().',
  );
}
