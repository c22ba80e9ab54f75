import {
  DeadLetters,
  EventMap,
  OUTBOX_CHANNELS,
  rebuildEvent,
  Serializer,
  WakeUp,
  type BatchDiagnostic,
  type DeadLetter,
  type EventClass,
  type OutboundEvent,
  type OutboxEntry,
  type RelayReport,
} from '@cqrs-outbox/core';
import { Injectable, type INestApplicationContext, type OnModuleInit } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { find } from './app-parts.js';
import { deliver, type DeliverOptions } from './deliver.js';
import { drain } from './drain.js';
import { decompressed, readable, type PublishedEvent } from './published.js';

/** A message of the outbox, with its payload readable. */
export interface OutboxMessage extends PublishedEvent {
  readonly destination: string;
}

type Entry = Omit<OutboxEntry, 'availableAt' | 'strictOrder'>;

/** How many dead letters are listed. */
const MAX_DEAD_LETTERS = 1_000;

/** By the part that each application has once, so that an application and its testing module have one in common. */
const outboxes = new WeakMap<WakeUp, TestOutbox>();

/**
 * What a test wants to know of an application's outbox: what was appended, and what became of it. For every store and
 * transport: it listens to the commits of the application, and to its relay.
 *
 * It remembers what is committed from the boot on where the application has {@link InMemoryStore}, or has this class
 * among its providers, and from the first {@link TestOutbox.of} on anywhere else.
 *
 * @example
 * const outbox = TestOutbox.of(app);
 * await app.get(RequestMediator).send(ShipOrder.of({ orderId: '7' }));
 * expect(outbox.appended(OrderShipped)).toEqual([OrderShipped.of({ orderId: '7' })]);
 */
@Injectable()
export class TestOutbox implements OnModuleInit {
  /** Not written where it is passed on: the functions of one scope hold what any of them uses, and another one uses `this`. */
  private static readonly acknowledge = (outbox: TestOutbox, entries: readonly Entry[]): void => {
    outbox.#acknowledged.push(...entries);
  };

  /** Ids of all messages of this application: the relay's channel is one for all applications of the process. */
  readonly #ids = new Set<string>();
  #committed: Entry[] = [];
  #acknowledged: Entry[] = [];
  #isListening = false;

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly modules: ModulesContainer,
  ) {}

  /**
   * The one of this application, which is made at the first call where it is no provider.
   *
   * @param app the application or the testing module, when it was compiled or created
   * @throws Error for an application without `CqrsOutboxModule`
   */
  static of(app: INestApplicationContext): TestOutbox {
    const wakeUp = find(app, WakeUp);
    if (!wakeUp) throw new Error('The application has no outbox: import CqrsOutboxModule.forRoot.');
    const made = (): TestOutbox =>
      new TestOutbox(app.get(ModuleRef, { strict: false }), app.get(ModulesContainer, { strict: false }));
    const outbox = find(app, TestOutbox) ?? outboxes.get(wakeUp) ?? made();
    outboxes.set(wakeUp, outbox);
    outbox.onModuleInit();
    return outbox;
  }

  /** @internal */
  onModuleInit(): void {
    const wakeUp = wakeUpIn(this.modules);
    if (!wakeUp || this.#isListening) return;
    this.#isListening = true;
    wakeUp.listen((entries) => {
      for (const { id } of entries) this.#ids.add(id);
      this.#committed.push(...entries);
    });
    listenWeakly(this, TestOutbox.acknowledge);
  }

  /** What was committed since the beginning or the last {@link clear}, oldest first, published or not, once per event. */
  appended(): OutboxMessage[];
  /** The events of one class, rebuilt as a consumer does it; tombstones are not among them. */
  appended<E extends OutboundEvent>(eventClass: EventClass<E>): E[];
  appended<E extends OutboundEvent>(eventClass?: EventClass<E>): OutboxMessage[] | E[] {
    const byId = new Map(this.#committed.toReversed().map((entry) => [entry.id, entry]));
    const entries = [...byId.values()].toReversed();
    return eventClass ? this.rebuild(entries, eventClass) : entries.map(readable);
  }

  /**
   * What destinations have acknowledged since the beginning or the last {@link clear}, in the order of the relay: once for
   * each destination of an event, and again if it was published again. What `EventEmitter.emit` has sent is not among it.
   */
  published(): OutboxMessage[];
  /** The events of one class, rebuilt as a consumer does it; tombstones are not among them. */
  published<E extends OutboundEvent>(eventClass: EventClass<E>): E[];
  published<E extends OutboundEvent>(eventClass?: EventClass<E>): OutboxMessage[] | E[] {
    const entries = this.#acknowledged.filter(({ id }) => this.#ids.has(id));
    return eventClass ? this.rebuild(entries, eventClass) : entries.map(readable);
  }

  /** Runs the relay until nothing is left: see {@link drain}, whose result and errors these are. */
  drain(): Promise<Record<string, RelayReport>> {
    return drain(this.moduleRef);
  }

  /** What was given up and is still there, oldest first, at most 1,000. */
  deadLetters(): Promise<DeadLetter[]> {
    return this.moduleRef.get(DeadLetters, { strict: false }).list({ limit: MAX_DEAD_LETTERS });
  }

  /** Forgets what was appended and published until now. What waits in the outbox stays there. */
  clear(): void {
    this.#committed = [];
    this.#acknowledged = [];
  }

  /**
   * Hands an event to its handlers in this application as if it had come from a broker: encoded and rebuilt, in a
   * transaction with its inbox row. Give the same `messageId` twice to see that the effect happens once.
   *
   * @throws `EventHandlingError` when a handler fails. An event that breaks its own rules is set aside, as in production.
   */
  deliver(event: OutboundEvent, options?: DeliverOptions): Promise<void> {
    return deliver(this.moduleRef, event, options);
  }

  private rebuild<E extends OutboundEvent>(entries: readonly Entry[], eventClass: EventClass<E>): E[] {
    const declaration = this.moduleRef.get(EventMap, { strict: false }).declare(eventClass);
    const serializer = this.moduleRef.get(Serializer, { strict: false });
    return entries.flatMap((entry) => {
      const payload = entry.name === declaration.name && decompressed(entry);
      if (!payload) return [];
      return [rebuildEvent(declaration, serializer.deserialize(payload, declaration) as object) as E];
    });
  }
}

/** Not asked of `ModuleRef`, which would list every provider of the application for it, at each boot. */
function wakeUpIn(modules: ModulesContainer): WakeUp | undefined {
  for (const { providers } of modules.values()) {
    const wrapper = providers.get(WakeUp);
    if (wrapper) return wrapper.instance as WakeUp;
  }
  return undefined;
}

/** The channel must not keep the outbox, and with it the application, from being collected as garbage. */
function listenWeakly(
  outbox: TestOutbox,
  listener: (outbox: TestOutbox, entries: readonly Entry[]) => void,
): void {
  const reference = new WeakRef(outbox);
  const subscriber = (message: unknown): void => {
    const target = reference.deref();
    if (target) listener(target, (message as BatchDiagnostic).entries);
    else OUTBOX_CHANNELS.published.unsubscribe(subscriber);
  };
  OUTBOX_CHANNELS.published.subscribe(subscriber);
}
