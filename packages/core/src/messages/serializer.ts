import { instanceToPlain } from 'class-transformer';

/** Port: turns an event into the bytes of a payload and back. */
export abstract class Serializer {
  /** Goes out as the header `content-type`. */
  abstract readonly contentType: string;
  /** @throws any error for what cannot be written; the caller wraps it in a typed one. */
  abstract serialize(event: object): Buffer;
  /** @returns the plain structure, of which the event class is rebuilt. @throws for bytes that cannot be read. */
  abstract deserialize(payload: Buffer): unknown;
}

/** JSON, through class-transformer (`@Exclude`, `@Transform` and `@Type` of an event class are honoured). */
export class JsonSerializer extends Serializer {
  readonly contentType = 'application/json';

  serialize(event: object): Buffer {
    return Buffer.from(JSON.stringify(instanceToPlain(event)));
  }

  deserialize(payload: Buffer): unknown {
    return JSON.parse(payload.toString('utf8'));
  }
}
