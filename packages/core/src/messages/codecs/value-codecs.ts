import type { Codec } from './codec.js';

/** So long a number is no amount and no id, and parsing takes a time that grows with the square of its length. */
const MAX_DIGITS = 1_000;

/** Text. For keys and values of the codecs of collections. */
export const stringCodec: Codec<string> = {
  encode: (value) => value,
  decode: (value) => {
    if (typeof value !== 'string') throw new TypeError('is no string');
    return value;
  },
  jsonSchema: () => ({ type: 'string' }),
};

/** Finite numbers: JSON would make `null` of others. */
export const numberCodec: Codec<number> = {
  encode: (value) => finite(value),
  decode: finite,
  jsonSchema: () => ({ type: 'number' }),
};

export const booleanCodec: Codec<boolean> = {
  encode: (value) => value,
  decode: (value) => {
    if (typeof value !== 'boolean') throw new TypeError('is no boolean');
    return value;
  },
  jsonSchema: () => ({ type: 'boolean' }),
};

/** `bigint` as a decimal string, since readers of JSON take a large number for a nearby one. At most 1,000 digits. */
export const bigIntCodec: Codec<bigint> = {
  encode: (value) => {
    if (typeof value !== 'bigint') throw new TypeError('is no BigInt');
    return String(value);
  },
  decode: (value) => {
    if (typeof value !== 'string' || value.length > MAX_DIGITS + 1 || !/^-?\d+$/.test(value))
      throw new TypeError('is no decimal integer in a string');
    return BigInt(value);
  },
  jsonSchema: () => ({ type: 'string', pattern: '^-?\\d+$' }),
};

const ISO_8601 =
  /^(?<year>\d{4}|[+-]\d{6})-(?<month>\d{2})-(?<day>\d{2})T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** `Date` as ISO 8601 in UTC; other time zones are read too. Unlike `@Type(() => Date)` it refuses what is no date. */
export const dateCodec: Codec<Date> = {
  // It throws for an invalid date, of which JSON would make `null`.
  encode: (value) => value.toISOString(),
  decode: (value) => {
    const parts = typeof value === 'string' ? ISO_8601.exec(value)?.groups : undefined;
    const date = new Date(parts ? (value as string) : Number.NaN);
    if (!parts || Number.isNaN(date.getTime()) || Number(parts['day']) > daysOf(parts))
      throw new TypeError('is no date and time of ISO 8601 with its time zone');
    return date;
  },
  jsonSchema: () => ({ type: 'string', format: 'date-time' }),
};

/** `new Date` takes the 31st of February for the 3rd of March. */
function daysOf({ year, month }: Record<string, string>): number {
  return new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
}

function finite(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('is no finite number');
  return value;
}
