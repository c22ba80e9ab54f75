import type { Message } from '../messages/message.js';
import { Transport, type PublishOptions, type PublishResult } from '../transports/transport.js';
import type { Tracing } from './tracing.js';

/** A transport whose messages are seen in their traces. */
export class TracedTransport extends Transport {
  constructor(
    private readonly transport: Transport,
    private readonly tracing: Tracing,
  ) {
    super();
  }

  override get messagingSystem(): string {
    return this.transport.messagingSystem;
  }

  publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]> {
    return this.tracing.publishing(this.messagingSystem, messages, () =>
      this.transport.publish(messages, options),
    );
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}
