import type { EventClass } from './event.js';
import { toPlain } from './plain-event.js';

/** Which event a payload belongs to, so that a serializer can choose its schema. */
export interface PayloadType {
  /** Wire name of the event. */
  readonly name: string;
  /**
   * Appending: the version of the class. Receiving: the version of the message, which is older where upcasters follow, and
   * newer with the policy `accept`.
   */
  readonly version: number;
  readonly eventClass: EventClass;
}

/** Port: turns an event into the bytes of a payload and back. */
export abstract class Serializer {
  /** Goes out as the header `content-type`; a consumer chooses the serializer by it. */
  abstract readonly contentType: string;
  /**
   * Called at `append`. {@link toPlain} gives the plain structure of an event, with class-transformer and codecs applied.
   * @throws any error for what cannot be written; the caller wraps it in a typed one.
   */
  abstract serialize(event: object, type: PayloadType): Buffer;
  /**
   * @returns the plain structure of the message's version: upcasters, schema or class-transformer and validation follow.
   * @throws for bytes that cannot be read: the message is set aside.
   */
  abstract deserialize(payload: Buffer, type: PayloadType): unknown;
}

/** JSON, through class-transformer (`@Exclude`, `@Transform`, `@Type` and `@Encoded` of an event class are honoured). */
export class JsonSerializer extends Serializer {
  readonly contentType = 'application/json';

  serialize(event: object): Buffer {
    const plain = toPlain(event);
    try {
      return Buffer.from(JSON.stringify(plain));
    } catch (error) {
      refuseBigInt(plain);
      throw error;
    }
  }

  deserialize(payload: Buffer): unknown {
    return JSON.parse(payload.toString('utf8'));
  }
}

/** JSON's own error names neither the property nor what to do. */
function refuseBigInt(plain: object): void {
  JSON.stringify(plain, (name, value: unknown) => {
    if (typeof value !== 'bigint') return value;
    throw new TypeError(
      `${name} is a BigInt, for which JSON has no form: decorate the property with @Encoded(bigIntCodec), or ` +
        `@Encoded(arrayCodec(bigIntCodec)) for a list`,
    );
  });
}
