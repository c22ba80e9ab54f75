import { beforeAll, describe, expect, it } from '@jest/globals';
import { Transport, type DeadLetterPolicy, type Message, type PublishResult } from '@cqrs-outbox/core';
import {
  InMemoryDatabase,
  InMemoryDeadLetterStore,
  InMemoryLeaseStore,
  InMemoryOutboxStore,
  TestClock,
} from '@cqrs-outbox/testing';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import {
  DestinationRelay,
  publishInLanes,
  RELAY_DEFAULTS,
  SlotLeases,
  type RelayClock,
} from '../relay-internals.ts';
import { entryOf } from '../world/entry.ts';
import { DESTINATION } from '../world/settings.ts';

const SLOT_COUNT = 2;
const KEYS = ['a', 'b', 'c'] as const;
const MAX_ATTEMPTS = 3;
const MAX_BACKOFF_MS = 1_000;
/** One core may be all there is. */
const TIME_LIMIT_MS = 120_000;

type Step =
  | { what: 'append'; key: (typeof KEYS)[number]; policy: DeadLetterPolicy }
  /** One pass, in which the broker answers so, one message after another; then it takes all. */
  | { what: 'pass'; answers: PublishResult['status'][] }
  | { what: 'time'; ms: number }
  | { what: 'requeue' | 'discard'; key: (typeof KEYS)[number] };

const keys = fc.constantFrom(...KEYS);
const answers = fc.array(
  fc.constantFrom<PublishResult['status']>('published', 'refused', 'refused', 'unavailable'),
  {
    maxLength: 8,
  },
);
const stepsWith = (policies: readonly DeadLetterPolicy[]): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          what: fc.constant('append' as const),
          key: keys,
          policy: fc.constantFrom(...policies),
        }),
      },
      { weight: 4, arbitrary: fc.record({ what: fc.constant('pass' as const), answers }) },
      {
        weight: 3,
        arbitrary: fc.record({
          what: fc.constant('time' as const),
          ms: fc.integer({ min: 0, max: 2 * MAX_BACKOFF_MS }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ what: fc.constantFrom('requeue' as const, 'discard' as const), key: keys }),
      },
    ),
    { maxLength: 40 },
  );

/** Gives the answers that it was told to, and notes what overtakes what. */
class ScriptedTransport extends Transport {
  answers: PublishResult['status'][] = [];
  /** Whether it has said so since it was asked last. */
  wasAway = false;
  readonly arrivals: Message[] = [];
  readonly faults: string[] = [];

  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  publish(messages: readonly Message[]): Promise<PublishResult[]> {
    return publishInLanes(messages, async (message) => {
      const status = this.answers.shift() ?? 'published';
      if (status === 'published') this.arrive(message);
      if (status === 'unavailable') this.wasAway = true;
      return { status, error: status === 'published' ? undefined : new Error(status) } as PublishResult;
    });
  }

  async close(): Promise<void> {}

  private arrive(message: Message): void {
    if (this.arrivals.some(({ id }) => id === message.id))
      this.faults.push(`${message.id} has arrived twice`);
    const arrived = new Set(this.arrivals.map(({ id }) => id));
    for (const { entry } of this.database.entries.values()) {
      // What waits before it, and is not just about to be deleted.
      if (entry.id === message.id) break;
      if (entry.key === message.key && !arrived.has(entry.id))
        this.faults.push(`${message.id} has overtaken ${entry.id}`);
    }
    for (const { entry, isParking } of this.database.deadLetters) {
      if (isParking && entry.key === message.key)
        this.faults.push(`${message.id} has passed ${entry.id}, which parks its key`);
    }
    this.arrivals.push(message);
  }
}

/** One relay, which has all slots, and nothing beside it. */
class LoneRelay {
  readonly #clock = new TestClock();
  readonly #database = new InMemoryDatabase(this.#clock);
  readonly #outbox = new InMemoryOutboxStore(this.#database);
  readonly #deadLetters = new InMemoryDeadLetterStore(this.#database);
  readonly transport = new ScriptedTransport(this.#database);
  readonly #discarded = new Set<string>();
  readonly #appended: string[] = [];
  readonly #leases: SlotLeases;
  readonly #relay: DestinationRelay;

  constructor() {
    // No timer ends: what is to be done is done by the passes.
    const clock: RelayClock = { now: () => 0, setTimer: () => () => undefined };
    const nothing = (): void => undefined;
    this.#leases = new SlotLeases(
      new InMemoryLeaseStore(this.#database),
      { slotCount: SLOT_COUNT, leaseMs: 1_000, isGuest: false },
      {
        clock,
        random: () => 0.5,
        newInstance: () => 'relay',
        onGained: nothing,
        onLost: nothing,
        onResumed: nothing,
      },
    );
    this.#relay = new DestinationRelay({
      destination: DESTINATION,
      source: 'model',
      transport: this.transport,
      store: this.#outbox,
      archive: undefined,
      options: { ...RELAY_DEFAULTS, batchSize: 4, maxAttempts: MAX_ATTEMPTS, maxBackoffMs: MAX_BACKOFF_MS },
      slotCount: SLOT_COUNT,
      random: () => 0.99,
      clock,
    });
  }

  start(): Promise<void> {
    return this.#leases.start();
  }

  async run(step: Step): Promise<void> {
    if (step.what === 'append') this.append(step.key, step.policy);
    else if (step.what === 'time') this.#clock.advance(step.ms);
    else if (step.what === 'pass') await this.pass(step.answers);
    else if (step.what === 'requeue') await this.#deadLetters.requeue({ key: step.key });
    else await this.discard(step.key);
  }

  /** With a broker that takes everything, and a person who requeues every dead letter. */
  async finish(): Promise<void> {
    for (const key of KEYS) await this.#deadLetters.requeue({ key });
    for (let round = 0; round < 3; round++) {
      this.#clock.advance(2 * MAX_BACKOFF_MS);
      await this.pass([]);
    }
  }

  /** What is nowhere: neither at the broker nor thrown away by a person. */
  missing(): string[] {
    const arrived = new Set(this.transport.arrivals.map(({ id }) => id));
    return this.#appended.filter((id) => !arrived.has(id) && !this.#discarded.has(id));
  }

  private append(key: string, policy: DeadLetterPolicy): void {
    const id = `${key}${this.#appended.length}`;
    this.#appended.push(id);
    this.#database.insert([entryOf(id, key, SLOT_COUNT, policy, undefined)]);
  }

  private async pass(scripted: readonly PublishResult['status'][]): Promise<void> {
    this.transport.answers = [...scripted];
    const hasFailed = await this.#relay.pass(this.#leases).then(
      () => false,
      () => true,
    );
    // It rejects when the broker is away, and only then.
    const { wasAway, faults } = this.transport;
    if (hasFailed !== wasAway)
      faults.push(`A pass ${hasFailed ? 'failed' : 'did not fail'}, broker away: ${wasAway}`);
    this.transport.wasAway = false;
  }

  private async discard(key: string): Promise<void> {
    for (const { id } of await this.#deadLetters.list({ key, limit: 500 })) this.#discarded.add(id);
    await this.#deadLetters.discard({ key });
  }
}

describe('One relay, whatever is refused, retried, given up, requeued or discarded,', () => {
  beforeAll(() => {
    Logger.overrideLogger(false);
  });

  const policies: readonly (readonly DeadLetterPolicy[])[] = [['continue'], ['park'], ['continue', 'park']];
  it.each(policies.map((some) => [some.join(' and '), some] as const))(
    'never lets a message overtake one of its key that waits, and loses none (policy %s)',
    async (_, some) => {
      await fc.assert(
        fc.asyncProperty(stepsWith(some), async (steps) => {
          const lone = new LoneRelay();
          await lone.start();
          for (const step of steps) await lone.run(step);
          await lone.finish();
          expect(lone.transport.faults).toEqual([]);
          expect(lone.missing()).toEqual([]);
        }),
        { numRuns: 1_000 },
      );
    },
    TIME_LIMIT_MS,
  );
});
