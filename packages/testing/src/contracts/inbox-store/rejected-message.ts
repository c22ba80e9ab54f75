import type { RejectedMessage } from '@cqrs-outbox/core';

/** A message that was set aside, with all that can be known of it unless other values are given. */
export function rejectedMessage(given: Partial<RejectedMessage>): RejectedMessage {
  return {
    messageId: 'message',
    name: 'contract.happened',
    topic: 'contract',
    key: 'k',
    coordinates: 'kafka contract[0]@42',
    reason: 'the payload is no object',
    stack: undefined,
    attempts: 0,
    headers: { ce_id: 'message', 'x-text': 'é' },
    payload: Buffer.from([0, 255]),
    ...given,
  };
}
