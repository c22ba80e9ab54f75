import type { KafkaFault } from './kafka-producer.js';
import type { PublishResult } from './transport.js';

export const UNKNOWN_TOPIC = 'UNKNOWN_TOPIC_OR_PARTITION';

/** Protocol errors that blame the message and not the broker; the value: whether another try can't help. */
const REFUSALS: ReadonlyMap<string | undefined, boolean> = new Map(
  Object.entries({
    MESSAGE_TOO_LARGE: true,
    RECORD_LIST_TOO_LARGE: true,
    INVALID_RECORD: true,
    CORRUPT_MESSAGE: false,
    INVALID_TIMESTAMP: true,
    INVALID_TOPIC_EXCEPTION: true,
    [UNKNOWN_TOPIC]: false,
    TOPIC_AUTHORIZATION_FAILED: false,
    POLICY_VIOLATION: true,
  }),
);

/** The refusal that a fault means; undefined for one that does not blame the message. */
export function refusalOf({ name, error }: KafkaFault): PublishResult | undefined {
  const permanent = REFUSALS.get(name);
  return permanent === undefined ? undefined : { status: 'refused', error, permanent };
}
