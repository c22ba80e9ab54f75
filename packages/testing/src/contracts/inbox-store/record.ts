import type { StoreFixture } from '../store-harness.js';

/** Records a message in a transaction of its own. */
export function record(
  { unitOfWork, inbox }: StoreFixture,
  messageId: string,
  handler: string,
): Promise<void> {
  return unitOfWork.runInTransaction(() => inbox.record(messageId, handler));
}
