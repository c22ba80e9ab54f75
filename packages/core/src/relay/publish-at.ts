import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { DestinationRelay } from './destination-relay.js';
import type { SlotLeases } from './leases/slot-leases.js';

/**
 * Publishes one message to one destination, preceded by the earlier entries of its key.
 *
 * @returns whether the destination has an entry of it
 * @throws {@link CqrsOutboxError} with code `PUBLISH_FAILED`
 */
export async function publishAt(
  relay: DestinationRelay,
  leases: SlotLeases,
  messageId: string,
): Promise<boolean> {
  const outcome = await relay.publishUpTo(leases, messageId).catch((cause: unknown) => {
    throw publishFailed(messageId, relay.destination, cause);
  });
  if (outcome === 'refused') throw publishFailed(messageId, relay.destination, 'it was refused');
  if (outcome === 'leased')
    throw publishFailed(
      messageId,
      relay.destination,
      'another instance relays its slot, and will publish it',
    );
  return outcome === 'published';
}

function publishFailed(messageId: string, destination: string, cause: unknown): CqrsOutboxError {
  const text = `Message ${messageId} was not published to ${destination}: ${messageOf(cause)}.`;
  return new CqrsOutboxError('PUBLISH_FAILED', text, { cause });
}
