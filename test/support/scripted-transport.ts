import { Transport, type Message, type PublishResult } from '@cqrs-outbox/core';

/** A transport under the test's command, that remembers what it has published. */
export class ScriptedTransport extends Transport {
  readonly published: { key: string; step: number }[] = [];
  isClosed = false;
  /** What becomes of a message; published by default. */
  decide: (key: string, step: number) => PublishResult | Promise<PublishResult> = () => ({
    status: 'published',
  });
  onBatch: () => Promise<void> = async () => undefined;
  batches = 0;

  async publish(messages: readonly Message[]): Promise<PublishResult[]> {
    this.batches++;
    await this.onBatch();
    const held = new Set<string>();
    const results: PublishResult[] = [];
    for (const { key, payload } of messages) {
      if (held.has(key)) {
        results.push({ status: 'held' });
        continue;
      }
      const { step } = JSON.parse(String(payload)) as { step: number };
      const result = await this.decide(key, step);
      if (result.status === 'published') this.published.push({ key, step });
      else held.add(key);
      results.push(result);
    }
    return results;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  stepsOf(key: string): number[] {
    return this.published.filter((message) => message.key === key).map(({ step }) => step);
  }
}

export const REFUSED: PublishResult = { status: 'refused', error: new Error('too hot') };
export const DOWN: PublishResult = { status: 'unavailable', error: new Error('broker is away') };
