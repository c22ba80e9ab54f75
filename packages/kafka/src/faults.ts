import type { KafkaFault } from '@cqrs-outbox/core';

const UNKNOWN_TOPIC = 'UNKNOWN_TOPIC_OR_PARTITION';

/** By these a broker says that it is the wrong one to ask. It has taken nothing. */
const STALE: ReadonlySet<string | undefined> = new Set([
  UNKNOWN_TOPIC,
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
]);

/** What an error of the client means. It is said by the innermost error: those around it only count. */
export function faultOf(error: unknown): KafkaFault {
  const innermost = innermostOf(error);
  const name = protocolNameOf(innermost);
  return { error: new Error(textOf(innermost, name), { cause: error }), name, mayBeStale: STALE.has(name) };
}

/** Of several tries the last one tells. */
function innermostOf(error: unknown): unknown {
  const inner = error instanceof AggregateError ? (error.errors.at(-1) as unknown) : causeOf(error);
  return inner === undefined ? error : innermostOf(inner);
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function textOf(error: unknown, name: string | undefined): string {
  if (!(error instanceof Error)) return String(error);
  const { serverErrorMessage } = error as { serverErrorMessage?: unknown };
  const text = typeof serverErrorMessage === 'string' ? serverErrorMessage : error.message;
  return name === undefined ? text : `${name}: ${text}`;
}

function protocolNameOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { apiId, code } = error as { apiId?: unknown; code?: unknown };
  if (typeof apiId === 'string') return apiId;
  // The client makes this one of what the broker has answered, and keeps nothing of it.
  return code === 'PLT_KFK_USER' && error.message.startsWith('Unknown topic ') ? UNKNOWN_TOPIC : undefined;
}
