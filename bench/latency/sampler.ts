import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestMediator } from '@cqrs-outbox/core';
import { within } from '../../test/services/wait.ts';
import type { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import type { CommitClock } from './commit-clock.ts';
import type { ObservedClientKafka } from './observed-client-kafka.ts';
import { Tick } from './tick.ts';

const PERIOD_MS = 100;
const SAMPLE_LIMIT_MS = 10_000;
const SETTLE_LIMIT_MS = 5_000;

/** Milliseconds of each sample. */
export interface Samples {
  readonly commitToAck: number[];
  readonly bareProduce: number[];
}

/** The parts of the application that a sample touches. */
export interface Sampled {
  readonly requests: RequestMediator;
  readonly client: ObservedClientKafka;
  readonly commits: CommitClock;
  readonly topic: KafkaTopic;
}

/** Sends one command each 100 ms, and one bare message in the middle between two of them. */
export class Sampler {
  readonly #sampled: Sampled;
  #sent = 0;

  constructor(sampled: Sampled) {
    this.#sampled = sampled;
  }

  async run(size: number): Promise<Samples> {
    const samples: Samples = { commitToAck: [], bareProduce: [] };
    const startedAt = performance.now();
    for (let index = 0; index < size; index += 1) {
      const dueAt = startedAt + index * PERIOD_MS;
      await until(dueAt);
      samples.commitToAck.push(await within(SAMPLE_LIMIT_MS, 'commit to ack', this.commitToAck()));
      await until(dueAt + PERIOD_MS / 2);
      samples.bareProduce.push(await this.bareProduce());
    }
    return samples;
  }

  /** @throws Error when Kafka has not exactly what was sent, or the table has a row too many */
  async assertNothingLost(database: OutboxDatabase): Promise<void> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    // The last entry is deleted a moment after its acknowledgement.
    while ((await database.count()) > 0 && performance.now() < deadline) await sleep(20);
    const [left, written] = [await database.count(), await this.#sampled.topic.written()];
    if (left !== 0 || written !== this.#sent) {
      throw new Error(
        `The run is not valid: ${left} entries are left, and Kafka has ${written} of ${this.#sent} messages.`,
      );
    }
  }

  private async commitToAck(): Promise<number> {
    const { requests, client, commits } = this.#sampled;
    const key = this.nextKey();
    const acknowledged = client.acknowledgementOf(key);
    await requests.send(Tick.of({ key }));
    const { committedAt } = commits;
    return (await acknowledged) - committedAt;
  }

  private async bareProduce(): Promise<number> {
    const { name: topic, producer } = this.#sampled.topic;
    const key = this.nextKey();
    const startedAt = performance.now();
    await producer.send({ topic, messages: [{ key, value: key }] });
    return performance.now() - startedAt;
  }

  private nextKey(): string {
    this.#sent += 1;
    return `key-${this.#sent}`;
  }
}

async function until(time: number): Promise<void> {
  const wait = time - performance.now();
  if (wait > 0) await sleep(wait);
}
