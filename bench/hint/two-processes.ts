import { setTimeout as sleep } from 'node:timers/promises';
import { RequestMediator } from '@cqrs-outbox/core';
import type { INestApplicationContext } from '@nestjs/common';
import { within } from '../../test/services/wait.ts';
import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import { CommitClock } from '../latency/commit-clock.ts';
import { Tick, TickHandler } from '../latency/tick.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import type { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { HintedRelay } from './hinted-relay.ts';
import { toMonotonicMs } from './monotonic.ts';

const PERIOD_MS = 100;
const SAMPLE_LIMIT_MS = 10_000;
const SETTLE_LIMIT_MS = 5_000;

/** This process commits and does not relay; another one relays. */
export class TwoProcesses {
  static async start(context: DatabaseContext, mode: 'hints' | 'tick'): Promise<TwoProcesses> {
    const database = await createOutboxDatabase(context.database);
    const relay = new HintedRelay(context, database, mode);
    const commits = new CommitClock();
    const app = await startApp({
      ormOptions: database.ormOptions,
      transport: await kafkaOption(context.brokers),
      providers: [TickHandler],
      subscribers: [commits],
      options: { relay: false, commitHints: mode === 'hints' },
    });
    await relay.started();
    return new TwoProcesses(database, relay, app, commits);
  }

  readonly #database: OutboxDatabase;
  readonly #relay: HintedRelay;
  readonly #app: INestApplicationContext;
  readonly #commits: CommitClock;
  #sent = 0;

  private constructor(
    database: OutboxDatabase,
    relay: HintedRelay,
    app: INestApplicationContext,
    commits: CommitClock,
  ) {
    this.#database = database;
    this.#relay = relay;
    this.#app = app;
    this.#commits = commits;
  }

  get sent(): number {
    return this.#sent;
  }

  /**
   * Commits one event in each 100 ms, at a random moment of them: the ticks come at whole seconds.
   *
   * @returns milliseconds from each commit to the acknowledgement
   */
  async run(size: number): Promise<number[]> {
    const startedAt = performance.now();
    const samples: Promise<number>[] = [];
    for (let index = 0; index < size; index += 1) {
      const wait = startedAt + (index + Math.random()) * PERIOD_MS - performance.now();
      if (wait > 0) await sleep(wait);
      const key = `hint-${this.#sent++}`;
      const acknowledged = this.#relay.acknowledgementOf(key);
      await this.#app.get(RequestMediator, { strict: false }).send(Tick.of({ key }));
      const committedAt = toMonotonicMs(this.#commits.committedAt);
      samples.push(acknowledged.then((at) => at - committedAt));
    }
    return within(SAMPLE_LIMIT_MS, 'commit to ack', Promise.all(samples));
  }

  /** @throws Error when the table has a row too many */
  async assertEmpty(): Promise<void> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    // The last entry is deleted a moment after its acknowledgement.
    while ((await this.#database.count()) > 0 && performance.now() < deadline) await sleep(20);
    const left = await this.#database.count();
    if (left > 0) throw new Error(`The run is not valid: ${left} entries are left.`);
  }

  async stop(): Promise<void> {
    await this.#app.close();
    await this.#relay.stop();
    await this.#database.drop();
  }
}

/** @throws Error when Kafka has not exactly what was sent */
export async function assertWritten(topic: KafkaTopic, processes: readonly TwoProcesses[]): Promise<void> {
  const sent = processes.reduce((sum, scene) => sum + scene.sent, 0);
  const written = await topic.written();
  if (written !== sent) throw new Error(`The run is not valid: Kafka has ${written} of ${sent} messages.`);
}
