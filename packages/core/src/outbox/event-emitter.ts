import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { OutboundEvent } from '../messages/event.js';
import type { Transports } from '../transports/transports.js';
import type { EventEncoder, EmitOptions } from './event-encoder.js';

/**
 * Publishes directly, past the outbox: AT MOST ONCE. The event is lost when the process dies, and goes out although a
 * transaction around it rolls back. For events that may be lost; all others belong into {@link Outbox.append}.
 */
export class EventEmitter {
  constructor(
    private readonly encoder: EventEncoder,
    private readonly transports: Transports,
  ) {}

  /**
   * Publishes at once and resolves with the broker's acknowledgement.
   *
   * @throws {@link CqrsOutboxError} with code `PUBLISH_FAILED` when a destination did not take it (`cause` says why),
   *   and the errors of {@link Outbox.append} for an invalid event
   */
  async emit(event: OutboundEvent, options?: EmitOptions): Promise<void> {
    const entries = this.encoder.encode(event, options);
    await Promise.all(
      entries.map(async (entry) => {
        const [result] = await this.transports.get(entry.destination).publish([entry]);
        if (result?.status === 'published') return;
        const cause = result?.error;
        throw new CqrsOutboxError(
          'PUBLISH_FAILED',
          `${entry.name} was not published to ${entry.destination}: ${messageOf(cause)}.`,
          { cause },
        );
      }),
    );
  }
}
