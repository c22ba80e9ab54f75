import { CqrsOutboxError } from '../cqrs-outbox.error.js';

/** The width of the columns for ids. */
export const MAX_ID_LENGTH = 64;

/**
 * Whether a text can be an id: databases differ in whether trailing white space and NUL count, and no two ids may be taken
 * for one.
 */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH && !/[\s\0]/.test(value);
}

/** @throws {@link CqrsOutboxError} with code `CORRELATION_ID` */
export function checkedCorrelationId(requestName: string, correlationId: unknown): string {
  if (isId(correlationId)) return correlationId;
  throw new CqrsOutboxError(
    'CORRELATION_ID',
    `The correlationId of ${requestName} must be a string of 1 to ${MAX_ID_LENGTH} characters without white space.`,
  );
}
