import 'reflect-metadata';
import { Transform, TransformationType, type TransformFnParams } from 'class-transformer';
import { messageOf } from '../../cqrs-outbox.error.js';
import type { Codec } from './codec.js';

const ENCODED = Symbol('cqrs-outbox:encoded');

/**
 * Has a property travel in the form that a codec gives it, and come back as what it was. `undefined` is left out, and what
 * is left out stays so; `null` is the codec's business, see {@link nullableCodec}.
 *
 * It is a `@Transform` of class-transformer, and so works in nested classes too, with `@Type(() => Line)` on the property
 * that holds them.
 *
 * @example
 * @Encoded(bigIntCodec) amount!: bigint;
 * @Encoded(mapCodec(stringCodec, bigIntCodec)) balances!: Map<string, bigint>;
 */
export function Encoded<T>(codec: Codec<T>) {
  return <K extends string>(target: { [P in K]?: T }, property: K): void => {
    Transform((params) => transform(codec, params))(target, property);
    const own = ownCodecs(target) ?? new Map<string, Codec<unknown>>();
    own.set(property, codec);
    Reflect.defineMetadata(ENCODED, own, target);
  };
}

/** The codecs of a class by property, inherited ones included. */
export function codecsOf(target: abstract new () => object): ReadonlyMap<string, Codec<unknown>> {
  const codecs = new Map<string, Codec<unknown>>();
  for (
    let prototype = target.prototype as object | null;
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    for (const [property, codec] of ownCodecs(prototype) ?? []) {
      if (!codecs.has(property)) codecs.set(property, codec);
    }
  }
  return codecs;
}

function ownCodecs(prototype: object): Map<string, Codec<unknown>> | undefined {
  return Reflect.getOwnMetadata(ENCODED, prototype) as Map<string, Codec<unknown>> | undefined;
}

function transform<T>(codec: Codec<T>, { value, key, type }: TransformFnParams): unknown {
  if (value === undefined || type === TransformationType.CLASS_TO_CLASS) return value;
  try {
    return type === TransformationType.CLASS_TO_PLAIN ? codec.encode(value as T) : codec.decode(value);
  } catch (cause) {
    throw new TypeError(`${key} ${messageOf(cause)}`, { cause });
  }
}
