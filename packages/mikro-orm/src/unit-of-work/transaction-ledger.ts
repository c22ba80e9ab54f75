import { PendingEvents, type OutboxEntry, type TransactionOptions } from '@cqrs-outbox/core';
import type { EntityManager } from '@mikro-orm/core';
import {
  ENDED_TRANSACTION,
  EndedTransactionError,
  refuseRelease,
  refuseStatements,
} from './ended-transaction.js';
import type { OutboxTransaction } from '../schema/tables.js';
import type { TransactionGuard } from './transaction-guard.js';

/** A nested transaction, and the entity manager that works in it: as long as somebody does. */
interface Savepoint {
  readonly savepoint: WeakRef<object>;
  readonly em: WeakRef<EntityManager>;
}

/** What belongs to one transaction or savepoint. */
class TransactionNotes {
  inserted: readonly OutboxEntry[] = [];
  own: TransactionOptions | undefined;
  guard: TransactionGuard | undefined;
  /** Of an outermost transaction, shared by itself and each of them. */
  savepoints: Savepoint[] | undefined;
  /** Whether it is being rolled back, or one around it has ended. */
  hasEnded = false;
  readonly contexts: EntityManager[] = [];

  /** @param parent of the transaction around a savepoint */
  constructor(
    readonly pending: PendingEvents,
    private readonly parent?: TransactionNotes,
  ) {}

  isInside(other: TransactionNotes): boolean {
    return this.parent === other || this.parent?.isInside(other) === true;
  }
}

/**
 * What belongs to each transaction and savepoint, on the driver's transaction object. A WeakMap would be the wrong place: minor
 * garbage collections take its values for alive, and each transaction's whole persistence context would stay until a major one.
 */
export class TransactionLedger {
  readonly #key = Symbol('cqrs-outbox');

  pendingOf(transaction: object): PendingEvents {
    return this.notesOf(transaction).pending;
  }

  /** @throws when the transaction around it was rolled back while it was on its way */
  openSavepoint(savepoint: object, parent: object, em: EntityManager): void {
    const ofParent = this.notesOf(parent);
    if (ofParent.hasEnded) throw new EndedTransactionError();
    const notes = new TransactionNotes(ofParent.pending.openSavepoint(), ofParent);
    notes.savepoints = ofParent.savepoints ??= [];
    notes.savepoints.push({ savepoint: new WeakRef(savepoint), em: new WeakRef(em) });
    this.keep(savepoint, notes);
  }

  /**
   * The transaction around them is about to end, or the savepoint. A nested transaction that was left running would go on with the
   * connection, whoever has that by then: the driver does not know that it has ended.
   */
  endSavepoints(transaction: object): void {
    const around = this.notesOf(transaction);
    if (!around.savepoints) return;
    const others: Savepoint[] = [];
    for (const entry of around.savepoints) {
      const savepoint = entry.savepoint.deref();
      if (!savepoint) continue;
      const notes = this.notesOf(savepoint);
      if (!notes.isInside(around)) {
        others.push(entry);
        continue;
      }
      notes.hasEnded = true;
      entry.em.deref()?.setTransactionContext(ENDED_TRANSACTION);
      refuseStatements(savepoint as OutboxTransaction);
      refuseRelease(savepoint);
    }
    around.savepoints.splice(0, Infinity, ...others);
  }

  /** It is about to be rolled back. */
  end(transaction: object): void {
    this.endSavepoints(transaction);
    this.notesOf(transaction).hasEnded = true;
  }

  /** Whether a savepoint is being rolled back, or the transaction around it has ended. */
  hasEnded(savepoint: object): boolean {
    return this.notesOf(savepoint).hasEnded;
  }

  recordInserted(transaction: object, entries: readonly OutboxEntry[]): void {
    this.notesOf(transaction).inserted = entries;
  }

  insertedIn(transaction: object): readonly OutboxEntry[] {
    return this.notesOf(transaction).inserted;
  }

  /** Says that the unit of work has opened the transaction, and how it is to run. */
  setOwn(transaction: object, options: TransactionOptions, guard: TransactionGuard): void {
    Object.assign(this.notesOf(transaction), { own: options, guard });
  }

  /** Undefined for a transaction that user code has opened, and ends by itself. */
  ownOptionsOf(transaction: object): TransactionOptions | undefined {
    return this.notesOf(transaction).own;
  }

  /** Undefined for a transaction that user code has opened. */
  guardOf(transaction: object): TransactionGuard | undefined {
    return this.notesOf(transaction).guard;
  }

  /** Notes a persistence context of the transaction whose entities go nowhere else at its end. */
  addContext(transaction: object, em: EntityManager): void {
    this.notesOf(transaction).contexts.push(em);
  }

  contextsOf(transaction: object): readonly EntityManager[] {
    return this.notesOf(transaction).contexts;
  }

  private notesOf(transaction: object): TransactionNotes {
    const { [this.#key]: notes } = transaction as Record<symbol, TransactionNotes | undefined>;
    return notes ?? this.keep(transaction, new TransactionNotes(new PendingEvents()));
  }

  private keep(transaction: object, notes: TransactionNotes): TransactionNotes {
    (transaction as Record<symbol, TransactionNotes>)[this.#key] = notes;
    return notes;
  }
}
