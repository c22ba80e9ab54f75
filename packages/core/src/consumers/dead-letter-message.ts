import { v7 as uuidv7 } from 'uuid';
import { encodingOf } from '../messages/compression/compression.js';
import { WIRE_HEADERS, type Message } from '../messages/message.js';
import { userHeaders } from './received-message.js';
import type { RejectedMessage } from './rejected-message.js';

/** What a dead letter at a broker says beside the message itself. */
export const DEAD_LETTER_HEADERS = {
  reason: 'x-dead-letter-reason',
  attempts: 'x-dead-letter-attempts',
  coordinates: 'x-dead-letter-coordinates',
  /** The content type that it came with, when its payload is not of that type. */
  contentType: 'x-dead-letter-content-type',
} as const;

/** Of reason and coordinates. */
const MAX_TEXT_LENGTH = 1_000;
const JSON_TYPE = 'application/json';
const BINARY_TYPE = 'application/octet-stream';

/**
 * The message to publish for a dead letter: same id, key, headers and payload. What has no id or name, being none of
 * ours, gets a new id and the name `unknown`.
 *
 * @param topic of the dead letter
 */
export function toDeadLetterMessage(rejected: RejectedMessage, topic: string): Message {
  const { headers, payload, reason, attempts, coordinates } = rejected;
  const id = rejected.messageId || uuidv7();
  const occurredAt = new Date(headers[WIRE_HEADERS.occurredAt] ?? Number.NaN);
  const declaredType = headers[WIRE_HEADERS.contentType] ?? JSON_TYPE;
  // Transports with an envelope of JSON put the payload into it as it is.
  const contentEncoding = encodingOf(headers[WIRE_HEADERS.contentEncoding]);
  const isAsDeclared = declaredType !== JSON_TYPE || contentEncoding !== undefined || isJson(payload);
  const contentType = isAsDeclared ? declaredType : BINARY_TYPE;
  return {
    id,
    name: rejected.name || 'unknown',
    version: Number(headers[WIRE_HEADERS.version] ?? 1),
    source: headers[WIRE_HEADERS.source] ?? '',
    topic,
    key: rejected.key || id,
    occurredAt: Number.isNaN(occurredAt.getTime()) ? new Date() : occurredAt,
    correlationId: headers[WIRE_HEADERS.correlationId] || id,
    causationId: headers[WIRE_HEADERS.causationId],
    contentType,
    contentEncoding,
    headers: {
      ...userHeaders(headers),
      ...traceOf(headers),
      [DEAD_LETTER_HEADERS.reason]: headerText(reason),
      [DEAD_LETTER_HEADERS.attempts]: String(attempts),
      [DEAD_LETTER_HEADERS.coordinates]: headerText(coordinates),
      ...(contentType === declaredType ? {} : { [DEAD_LETTER_HEADERS.contentType]: declaredType }),
    },
    payload,
  };
}

/** So that whoever handles the dead letter goes on with the trace. */
function traceOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  const names = [WIRE_HEADERS.traceParent, WIRE_HEADERS.traceState];
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
  );
}

/** One line: some brokers and tools take no other headers. */
function headerText(text: string): string {
  return text.slice(0, MAX_TEXT_LENGTH).replaceAll(/\s+/g, ' ');
}

function isJson(payload: Buffer | null): boolean {
  if (payload === null) return true;
  try {
    JSON.parse(payload.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
