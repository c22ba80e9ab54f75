import type { Message, PublishResult } from '@cqrs-outbox/core';
import { ScriptedTransport } from '../support/scripted-transport.ts';

/** A message as it arrived. */
export interface Arrival {
  readonly id: string;
  readonly key: string;
  readonly step: number;
  /** By this process's wall clock. */
  readonly at: number;
}

/** A scripted transport that remembers ids and times, and how many messages it was given each time. */
export class WitnessTransport extends ScriptedTransport {
  readonly arrivals: Arrival[] = [];
  readonly given: number[] = [];

  override async publish(messages: readonly Message[]): Promise<PublishResult[]> {
    this.given.push(messages.length);
    const results = await super.publish(messages);
    for (const [index, { id, key, payload }] of messages.entries()) {
      if (results[index]?.status !== 'published') continue;
      const { step } = JSON.parse(String(payload)) as { step: number };
      this.arrivals.push({ id, key, step, at: Date.now() });
    }
    return results;
  }

  /** Ids as they arrived, of one key. */
  idsOf(key: string): string[] {
    return this.arrivals.filter((arrival) => arrival.key === key).map(({ id }) => id);
  }
}
