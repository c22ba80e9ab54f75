import type { EventClass } from '../event.js';
import { isRecord, toInstance, toPlain } from '../plain-event.js';
import type { Codec, JsonValue } from './codec.js';

/** `null`, or what another codec takes. */
export function nullableCodec<T>(codec: Codec<T>): Codec<T | null> {
  return {
    encode: (value) => (value === null ? null : codec.encode(value)),
    decode: (value) => (value === null ? null : codec.decode(value)),
    jsonSchema: (schemaOf) => ({ anyOf: [codec.jsonSchema(schemaOf), { type: 'null' }] }),
  };
}

/** An array, each item by a codec. */
export function arrayCodec<T>(item: Codec<T>): Codec<T[]> {
  return {
    encode: (values) => values.map((value) => item.encode(value)),
    decode: (value) => listOf(value).map((element) => item.decode(element)),
    jsonSchema: (schemaOf) => ({ type: 'array', items: item.jsonSchema(schemaOf) }),
  };
}

/** A `Set` as an array. One that has an item twice is refused, for items that are primitive. */
export function setCodec<T>(item: Codec<T>): Codec<Set<T>> {
  return {
    encode: (values) => [...values].map((value) => item.encode(value)),
    decode: (value) => {
      const items = listOf(value).map((element) => item.decode(element));
      const set = new Set(items);
      if (set.size < items.length) throw new TypeError('has an item twice');
      return set;
    },
    jsonSchema: (schemaOf) => ({ type: 'array', items: item.jsonSchema(schemaOf), uniqueItems: true }),
  };
}

/**
 * A `Map` as an array of pairs, in its order: any key keeps its type, and none can be taken for a property of an object
 * (`__proto__`). One that has a key twice is refused, for keys that are primitive.
 */
export function mapCodec<K, V>(key: Codec<K>, value: Codec<V>): Codec<Map<K, V>> {
  return {
    encode: (map) => [...map].map(([name, item]) => [key.encode(name), value.encode(item)]),
    decode: (received) => {
      const pairs = listOf(received).map((pair): [K, V] => {
        if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError('has an entry that is no pair');
        return [key.decode(pair[0]), value.decode(pair[1])];
      });
      const map = new Map(pairs);
      if (map.size < pairs.length) throw new TypeError('has a key twice');
      return map;
    },
    jsonSchema: (schemaOf) => ({
      type: 'array',
      items: {
        type: 'array',
        prefixItems: [key.jsonSchema(schemaOf), value.jsonSchema(schemaOf)],
        minItems: 2,
        maxItems: 2,
      },
    }),
  };
}

/**
 * Instances of a class, by class-transformer and the codecs of its own properties. For values in the collections above;
 * a property that holds one, or an array of them, needs `@Type(() => Line)` alone.
 */
export function classCodec<T extends object>(nested: () => EventClass<T>): Codec<T> {
  return {
    encode: (value) => toPlain(value) as JsonValue,
    decode: (value) => {
      if (!isRecord(value)) throw new TypeError(`has no object where a ${nested().name} is expected`);
      return toInstance(nested(), value);
    },
    jsonSchema: (schemaOf) => schemaOf(nested()),
  };
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('is no list');
  return value as unknown[];
}
