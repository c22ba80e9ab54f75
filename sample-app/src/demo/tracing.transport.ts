import { type Message, type PublishResult, Transport } from '@cqrs-outbox/core';
import type { Timeline } from './timeline.js';

/** Looks up the outbox row of a message. */
export type FindRow = (messageId: string) => Promise<{ id: string } | null>;

/** Notes what passes through a transport, and reads each message's row in the outbox before it lets the message go. */
export class TracingTransport extends Transport {
  constructor(
    private readonly inner: Transport,
    private readonly timeline: Timeline,
    private readonly findRow: FindRow,
  ) {
    super();
  }

  async publish(messages: readonly Message[]): Promise<PublishResult[]> {
    for (const { id, name } of messages) {
      const row = await this.findRow(id);
      this.timeline.mark('row', row ? `#${row.id} in cqrs_outbox: ${name}` : `none for ${name}`);
    }
    for (const { name, topic, key } of messages)
      this.timeline.mark('published', `${name} to ${topic}, key ${key}`);
    const results = await this.inner.publish(messages);
    for (const [index, { name }] of messages.entries()) {
      const { status = 'held' } = results[index] ?? {};
      this.timeline.mark(
        'settled',
        status === 'published' ? `${name}, its row can go` : `${name}: ${status}`,
      );
    }
    return results;
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
