import { expect } from '@jest/globals';
import {
  CommitHints,
  CqrsOutboxModule,
  Outbox,
  OutboxRelay,
  slotOf,
  type AppendOptions,
  type CqrsOutboxOptions,
  type OutboundEvent,
  type StopListening,
} from '@cqrs-outbox/core';
import {
  InMemoryDatabase,
  InMemoryOutboxStore,
  InMemoryStore,
  InMemoryUnitOfWork,
} from '@cqrs-outbox/testing';
import type { INestApplication, Provider } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { StockMoved } from '../operations/events.ts';
import { NEVER } from '../operations/outbox-fixture.ts';
import { WitnessTransport } from '../operations/witness-transport.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/silent-logger.ts';

type OnHint = (hint: string) => void;

/** Carries hints between the applications of a test, under the test's command. */
export class HintBus {
  readonly announced: string[] = [];
  readonly listeners = new Map<OnHint, (reason: unknown) => void>();
  /** What is asked of it, in its order. */
  readonly calls: string[] = [];
  /** How many announcements are on their way, and the most there ever were. */
  inFlight = 0;
  mostInFlight = 0;
  /** What becomes of an announcement before it is delivered. */
  onAnnounce: () => void | Promise<void> = () => undefined;
  onListen: (onLost: (reason: unknown) => void) => void | Promise<void> = () => undefined;

  /** Another application's end of it. */
  port(faults: readonly string[] = []): CommitHints {
    return new BusHints(this, faults);
  }

  send(hint: string): void {
    for (const onHint of this.listeners.keys()) onHint(hint);
  }

  /** Breaks all connections. */
  lose(reason: unknown): void {
    for (const onLost of this.listeners.values()) onLost(reason);
  }

  /** The slots that were announced at a destination, in ascending order. */
  slotsAt(destination: string): number[] {
    const hints = this.announced.map((text) => JSON.parse(text) as { slots: Record<string, number[]> });
    return [...new Set(hints.flatMap(({ slots }) => slots[destination] ?? []))].toSorted((a, b) => a - b);
  }
}

class BusHints extends CommitHints {
  constructor(
    private readonly bus: HintBus,
    private readonly knownFaults: readonly string[],
  ) {
    super();
  }

  override faults(): readonly string[] {
    return this.knownFaults;
  }

  // Not async: what the test throws is thrown at once.
  override announce(hint: string): Promise<void> {
    const { bus } = this;
    bus.announced.push(hint);
    bus.mostInFlight = Math.max(bus.mostInFlight, ++bus.inFlight);
    const deliver = (): void => {
      bus.inFlight--;
      bus.send(hint);
    };
    const waiting = bus.onAnnounce();
    return Promise.resolve(waiting).then(deliver, (error: unknown) => {
      bus.inFlight--;
      throw error;
    });
  }

  override async listen(onHint: OnHint, onLost: (reason: unknown) => void): Promise<StopListening> {
    const { bus } = this;
    bus.calls.push('listen');
    await bus.onListen(onLost);
    bus.listeners.set(onHint, onLost);
    return async () => {
      bus.calls.push('stop');
      bus.listeners.delete(onHint);
    };
  }

  override async close(): Promise<void> {
    this.bus.calls.push('close');
  }
}

/** An application on the database of the fixture, as in a process of its own. */
export interface HintedApp {
  readonly app: INestApplication;
  readonly relay: OutboxRelay;
  append(events: readonly OutboundEvent[], options?: AppendOptions): Promise<void>;
}

/** Applications on one database in memory. No tick comes: what is published is due to news. */
export class HintsFixture {
  readonly bus = new HintBus();
  readonly transport = new WitnessTransport();
  readonly database = new InMemoryDatabase(Date);
  readonly #open: INestApplication[] = [];

  /** The steps of what was published, in their order. */
  get arrived(): number[] {
    return this.transport.arrivals.map(({ step }) => step).toSorted((a, b) => a - b);
  }

  /** Waits until so many applications listen. */
  async listening(count: number): Promise<void> {
    await eventually(() => expect(this.bus.listeners.size).toBe(count));
  }

  async start(options: Partial<CqrsOutboxOptions> = {}, providers: Provider[] = []): Promise<HintedApp> {
    const module = await Test.createTestingModule({
      imports: [
        ScheduleModule.forRoot(),
        CqrsOutboxModule.forRoot({
          source: 'tests',
          store: InMemoryStore,
          transport: this.transport,
          commitHints: this.bus.port(),
          ...options,
        }),
      ],
      providers,
    })
      .overrideProvider(InMemoryDatabase)
      .useValue(this.database)
      .setLogger(silentLogger)
      .compile();
    const app = module.createNestApplication();
    this.#open.push(app);
    await app.init();
    return {
      app,
      relay: app.get(OutboxRelay),
      append: (events, appendOptions) =>
        app.get(InMemoryUnitOfWork).runInTransaction(async () => {
          for (const event of events) app.get(Outbox).append(event, appendOptions);
        }),
    };
  }

  /** One that only writes. */
  startWriter(options: Partial<CqrsOutboxOptions> = {}, providers: Provider[] = []): Promise<HintedApp> {
    return this.start({ relay: false, ...options }, providers);
  }

  /** One that relays, and has begun to listen. */
  async startRelay(options: Partial<CqrsOutboxOptions> = {}): Promise<HintedApp> {
    const started = await this.start({ relay: { cron: NEVER, leaseMs: 1_000 }, ...options });
    await eventually(() => {
      if (started.relay.instance === undefined) throw new Error('It has no leases.');
    });
    return started;
  }

  async stop({ app }: HintedApp): Promise<void> {
    this.#open.splice(this.#open.indexOf(app), 1);
    await app.close();
  }

  async close(): Promise<void> {
    for (const app of this.#open.splice(0)) await app.close();
  }

  waiting({ app }: HintedApp): number {
    return app.get(InMemoryOutboxStore).entries().length;
  }
}

/** Events of as many keys, one for each. */
export function moves(count: number, prefix = 'item'): StockMoved[] {
  return Array.from({ length: count }, (_, step) => StockMoved.of({ item: `${prefix}-${step}`, step }));
}

/** The slots of their keys, in ascending order. */
export function slotsOfMoves(events: readonly StockMoved[], slotCount = 16): number[] {
  return [...new Set(events.map(({ item }) => slotOf(item, slotCount)))].toSorted((a, b) => a - b);
}
