import type { EventClass } from '../event.js';

/** What JSON can hold. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** A JSON Schema of draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * Port: how a value that JSON has no form for travels. Used by {@link Encoded}, in an event class or a class nested in it.
 *
 * @example
 * const moneyCodec: Codec<Money> = {
 *   encode: (money) => money.toString(),
 *   decode: (value) => Money.parse(String(value)), // throws for what is none
 *   jsonSchema: () => ({ type: 'string', pattern: '^\\d+\\.\\d{2} [A-Z]{3}$' }),
 * };
 */
export interface Codec<T> {
  /** @throws any error for a value that can't travel: the event is not appended then (`PAYLOAD_NOT_SERIALIZABLE`). */
  encode(value: T): JsonValue;
  /**
   * Checks all of what was received: it may be anything, `null` too.
   * @throws any error for what `encode` can't have made: the message is set aside then. Its text is logged: let it name no data.
   */
  decode(value: unknown): T;
  /**
   * Describes what `encode` makes, for the event contract.
   * @param schemaOf gives the schema of a nested class
   */
  jsonSchema(schemaOf: (nested: EventClass) => JsonSchema): JsonSchema;
}
