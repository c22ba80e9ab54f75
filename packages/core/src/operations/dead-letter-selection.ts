import { CqrsOutboxError } from '../cqrs-outbox.error.js';

/** For lists that give no limit. */
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/**
 * A condition that somebody forgot to fill in, or that is null in a request's body, must not select everything.
 *
 * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_SELECTION`
 */
export function checkedSelection<T extends object>(given: T, known: readonly string[]): T {
  for (const [name, value] of Object.entries(given)) {
    if (!known.includes(name))
      throw invalidSelection(`${name} is no condition; known are ${known.join(', ')}`);
    if (typeof value !== 'string') throw invalidSelection(`${name} is ${String(value)}, but must be a text`);
  }
  return given;
}

/** The same, for what must not be done to everything by accident. */
export function narrowSelection<T extends object>(given: T, known: readonly string[]): T {
  const selection = checkedSelection(given, known);
  if (Object.keys(selection).length > 0) return selection;
  throw invalidSelection(`give at least one of ${known.join(', ')}; nothing selects nothing here`);
}

/** How many to list at a time. */
export function checkedLimit(limit: number = DEFAULT_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw invalidSelection(`limit is ${limit}, but must be an integer from 1 to ${MAX_LIMIT}`);
}

/** The number of a dead letter. */
export function checkedId(name: string, id: string): string {
  if (typeof id === 'string' && /^\d{1,18}$/.test(id)) return id;
  throw invalidSelection(`${name} is ${JSON.stringify(id)}, which is no deadLetterId`);
}

export function invalidSelection(why: string): CqrsOutboxError {
  return new CqrsOutboxError('DEAD_LETTER_SELECTION', `The dead letters can't be selected: ${why}.`);
}
