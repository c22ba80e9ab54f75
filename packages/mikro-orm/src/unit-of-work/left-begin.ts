import { CompiledQuery, type QueryResult } from 'kysely';
import { isCountOnly, START, type OneTrip } from '../store/one-trip/one-trip.js';
import { isConstraintViolation } from './lost-transaction.js';

/**
 * The BEGIN of a transaction that is left for its first statement: it goes with that where nothing but the number of its rows is
 * read, or else before it. Savepoints are sent while another statement may be on its way, so that BEGIN may be, too.
 */
export class LeftBegin {
  #state: 'left' | Promise<undefined> | 'answered' = 'left';

  /** @param onFailure is called when there may be no transaction: what follows would have its effect outside of any */
  constructor(
    private readonly send: (query: CompiledQuery) => Promise<QueryResult<unknown>>,
    private readonly oneTrip: OneTrip | undefined,
    private readonly onFailure: (cause: unknown) => void,
  ) {}

  /** Whether nothing was sent. */
  get isLeft(): boolean {
    return this.#state === 'left';
  }

  get isAnswered(): boolean {
    return this.#state === 'answered';
  }

  /**
   * Resolves when BEGIN has been answered.
   *
   * @param query what is to be sent next
   * @returns its result, when BEGIN went with it
   */
  async sendFor<R>(query?: CompiledQuery): Promise<QueryResult<R> | undefined> {
    if (this.#state === 'answered') return undefined;
    if (this.#state !== 'left') return this.#state;
    const together = query && isCountOnly(query) ? this.oneTrip?.together([START, query]) : undefined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#state = promise;
    try {
      const result = await this.send(together ?? CompiledQuery.raw(START.sql));
      return together && (result as QueryResult<R>);
    } catch (error) {
      if (!isConstraintViolation(error)) this.onFailure(error);
      throw error;
    } finally {
      this.#state = 'answered';
      resolve(undefined);
    }
  }
}
