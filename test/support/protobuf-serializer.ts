import { Serializer, toPlain, type PayloadType } from '@cqrs-outbox/core';
import protobuf from 'protobufjs';

/** Encodes by descriptors that are made in code: one message type for each version of each event. */
export class ProtobufSerializer extends Serializer {
  readonly contentType = 'application/protobuf';
  /** What was asked for, to see that versions arrive here. */
  readonly read: string[] = [];

  /** @param types by event name and version: `seats.taken@2` */
  constructor(private readonly types: Readonly<Record<string, protobuf.Type>>) {
    super();
  }

  serialize(event: object, type: PayloadType): Buffer {
    const message = this.typeOf(type).fromObject(toPlain(event));
    return Buffer.from(this.typeOf(type).encode(message).finish());
  }

  deserialize(payload: Buffer, type: PayloadType): unknown {
    this.read.push(`${type.name}@${type.version}`);
    const descriptor = this.typeOf(type);
    return descriptor.toObject(descriptor.decode(payload), { longs: String, defaults: true });
  }

  private typeOf({ name, version }: PayloadType): protobuf.Type {
    const type = this.types[`${name}@${version}`];
    if (!type) throw new Error(`no descriptor for version ${version} of ${name}`);
    return type;
  }
}

/** A message type with these fields, numbered in their order. */
export function messageType(name: string, fields: Readonly<Record<string, string>>): protobuf.Type {
  const type = new protobuf.Type(name);
  for (const [index, [field, kind]] of Object.entries(fields).entries())
    type.add(new protobuf.Field(field, index + 1, kind));
  return type;
}
