import type { PublishResult } from './transport.js';

/** Protocol errors that blame the message and not the broker; the value: whether another try can't help. */
const REFUSALS: ReadonlyMap<string, boolean> = new Map(
  Object.entries({
    MESSAGE_TOO_LARGE: true,
    RECORD_LIST_TOO_LARGE: true,
    INVALID_RECORD: true,
    CORRUPT_MESSAGE: false,
    INVALID_TIMESTAMP: true,
    INVALID_TOPIC_EXCEPTION: true,
    UNKNOWN_TOPIC_OR_PARTITION: false,
    TOPIC_AUTHORIZATION_FAILED: false,
    POLICY_VIOLATION: true,
  }),
);

/** The refusal that an error of kafkajs means; undefined for one that does not blame the message. */
export function refusalOf(error: unknown): PublishResult | undefined {
  const permanent = REFUSALS.get(protocolErrorOf(error) ?? '');
  return permanent === undefined ? undefined : { status: 'refused', error, permanent };
}

export function isUnknownTopic(error: unknown): boolean {
  return protocolErrorOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** kafkajs wraps the protocol's error when its own retries are used up. */
function protocolErrorOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { type } = cause as { type?: unknown };
    if (typeof type === 'string' && REFUSALS.has(type)) return type;
  }
  return undefined;
}
