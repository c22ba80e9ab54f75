import { Outbox } from '@cqrs-outbox/core';
import { MikroORM } from '@mikro-orm/core';
import type { INestApplicationContext } from '@nestjs/common';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import type { NotedClass } from './events.ts';

const TRANSACTIONS = 2_000;
const AT_A_TIME = 8;

const text = 'x'.repeat(270);

/** Transactions that append one event each and do nothing else, {@link AT_A_TIME} at a time. */
export class AppendingTransactions {
  readonly #orm: MikroORM;
  readonly #outbox: Outbox;
  readonly #database: OutboxDatabase;

  constructor(app: INestApplicationContext, database: OutboxDatabase) {
    this.#orm = app.get(MikroORM, { strict: false });
    this.#outbox = app.get(Outbox, { strict: false });
    this.#database = database;
  }

  /** @returns how many were committed in a second. @throws Error when a row is missing */
  async rateOf(event: NotedClass, keyOf: (index: number) => string): Promise<number> {
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < TRANSACTIONS) await this.append(event, keyOf(next++));
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    const seconds = (performance.now() - startedAt) / 1000;
    const rows = await this.#database.count();
    if (rows !== TRANSACTIONS) {
      throw new Error(`The run is not valid: ${TRANSACTIONS} transactions have left ${rows} rows.`);
    }
    await this.#database.clear();
    return TRANSACTIONS / seconds;
  }

  private async append(event: NotedClass, key: string): Promise<void> {
    await this.#orm.em.fork().transactional(() => {
      this.#outbox.append(event.of({ key, text }));
    });
  }
}
