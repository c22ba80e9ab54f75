import type { Attributes } from '@opentelemetry/api';
import type { ReceivedMessage } from '../consumers/received-message.js';
import { WIRE_HEADERS, type Message } from '../messages/message.js';
import { OTHER_SYSTEM } from '../transports/transport.js';

/** What is done with a message; the name and the type of the operation. */
type Operation = 'create' | 'send' | 'process';

/** Of what others have sent, so much at most gets into an attribute, in characters. */
const MAX_LENGTH = 255;

/**
 * The attributes of OpenTelemetry's conventions for messaging
 * (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/) that are known of a message. What it says, the
 * user's headers and its key, which may name a person, are in none of them.
 */
export function messageAttributes(
  operation: Operation,
  system: string,
  message: Pick<Message, 'id' | 'topic' | 'correlationId' | 'payload'>,
): Attributes {
  return {
    ...common(operation, system, message.topic),
    'messaging.message.id': message.id,
    'messaging.message.conversation_id': message.correlationId,
    'messaging.message.body.size': message.payload?.length ?? 0,
  };
}

/** The same of a message that was received, in which nothing is trusted. */
export function receivedAttributes({ headers, topic, payload, origin }: ReceivedMessage): Attributes {
  const { system, partition, offset } = origin ?? { system: OTHER_SYSTEM };
  const id = headers[WIRE_HEADERS.id];
  const position = Number(offset);
  return {
    ...common('process', system, topic),
    'messaging.message.id': id?.slice(0, MAX_LENGTH),
    'messaging.message.conversation_id': (headers[WIRE_HEADERS.correlationId] ?? id)?.slice(0, MAX_LENGTH),
    'messaging.message.body.size': payload?.length ?? 0,
    'messaging.destination.partition.id': partition,
    'messaging.kafka.offset': offset !== undefined && Number.isSafeInteger(position) ? position : undefined,
  };
}

function common(operation: Operation, system: string, topic: string): Attributes {
  return {
    'messaging.system': system,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': topic.slice(0, MAX_LENGTH),
  };
}

/** `process orders`: the operation and where it is done. */
export function spanName(operation: Operation, topic: string): string {
  return topic === '' ? operation : `${operation} ${topic.slice(0, MAX_LENGTH)}`;
}
