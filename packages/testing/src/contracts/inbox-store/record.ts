import type { InboxPair } from '@cqrs-outbox/core';
import type { StoreFixture } from '../store-harness.js';

/** Records a message in a transaction of its own. */
export function record(
  { unitOfWork, inbox }: StoreFixture,
  messageId: string,
  handler: string,
): Promise<void> {
  return unitOfWork.runInTransaction(() => inbox.record(messageId, handler));
}

/** Records several messages in a transaction of their own. */
export function recordAll(
  { unitOfWork, inbox }: StoreFixture,
  pairs: readonly InboxPair[],
): Promise<boolean[]> {
  return unitOfWork.runInTransaction(() => inbox.recordAll(pairs));
}
