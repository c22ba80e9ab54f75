import { randomUUID } from 'node:crypto';
import {
  EventConsumer,
  EventHandler,
  InMemoryContext,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  type ConsumerOptions,
  type CqrsOutboxOptions,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { Provider } from '@nestjs/common';
import { KafkaContext, RmqContext } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { createTestApp, type TestApp, type TestAppSettings } from '../support/app.ts';
import { Tally } from '../support/orders.ts';

@IntegrationEvent({ name: 'crates.packed', topic: 'crates' })
export class CratePacked extends NotificationEvent {
  @IsInt() crateId!: number;
}

/** What one application's handler does when it has counted, and how often it was called. */
export class Behaviour {
  calls = 0;
  events: CratePacked[] = [];
  onCall: (call: number, em: EntityManager, event: CratePacked) => Promise<void> = async () => undefined;
}

/** Adds one to the tally `crates`, and then does what the test says. */
@EventHandler(CratePacked)
export class CountCrates implements HandlesEvent<CratePacked> {
  constructor(
    private readonly em: EntityManager,
    private readonly behaviour: Behaviour,
  ) {}

  async handle(event: CratePacked): Promise<void> {
    const call = ++this.behaviour.calls;
    this.behaviour.events.push(event);
    const tally = await this.em.findOneOrFail(Tally, { name: 'crates' });
    tally.count++;
    await this.em.flush();
    await this.behaviour.onCall(call, this.em, event);
  }
}

export const QUICK: ConsumerOptions = { maxAttempts: 3, minBackoffMs: 1, maxBackoffMs: 1 };

export interface CrateApp extends TestApp {
  consumer: EventConsumer;
  behaviour: Behaviour;
  crates(): Promise<number>;
  letters(): Promise<Record<string, unknown>[]>;
}

/** An application that counts crates. */
export async function createCrateApp(
  settings: Pick<TestAppSettings, 'database' | 'orm' | 'ownsDatabase' | 'controllers' | 'servers'>,
  options: Partial<CqrsOutboxOptions> = {},
  providers: Provider[] = [],
): Promise<CrateApp> {
  const behaviour = new Behaviour();
  const test = await createTestApp({
    ...settings,
    options: { transport: new NullTransport(), consumer: QUICK, ...options },
    providers: [{ provide: Behaviour, useValue: behaviour }, CountCrates, ...providers],
    beforeInit: async (_, orm) => {
      if (settings.ownsDatabase ?? !settings.orm)
        await orm.em.fork().insertMany(Tally, [{ name: 'crates', count: 0 }]);
    },
  });
  const em = () => test.orm.em.fork();
  return {
    ...test,
    consumer: test.app.get(EventConsumer),
    behaviour,
    crates: async () => (await em().findOneOrFail(Tally, { name: 'crates' })).count,
    letters: () => em().getConnection().execute('select * from cqrs_inbox_dead_letter'),
  };
}

export const crateHeaders = (changes: Record<string, string> = {}): Record<string, string> => ({
  ce_id: randomUUID(),
  ce_type: 'crates.packed',
  ce_source: 'packers',
  ce_specversion: '1.0',
  'content-type': 'application/json',
  ...changes,
});

export const PAYLOAD = { crateId: 7 };

/** As Nest's Kafka server hands it over. */
export function onKafka(
  headers = crateHeaders(),
  heartbeat: () => Promise<void> = async () => undefined,
  value: unknown = PAYLOAD,
): KafkaContext {
  const message = { value, key: 'k', headers, offset: '42' };
  return new KafkaContext([message, 3, 'crates', undefined, heartbeat, undefined] as never);
}

/** A channel that remembers what it was told. */
export class RecordingChannel {
  readonly told: string[] = [];
  readonly #listeners = new Set<() => void>();

  ack(): void {
    this.told.push('ack');
  }

  nack(_: unknown, allUpTo: boolean, requeue: boolean): void {
    this.told.push(`nack ${allUpTo} ${requeue}`);
  }

  once(_: string, listener: () => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    for (const listener of this.#listeners) listener();
  }
}

export function onRabbitMq(channel: RecordingChannel, headers = crateHeaders()): RmqContext {
  const fields = { exchange: 'crates', routingKey: 'crates.packed', deliveryTag: 1 };
  return new RmqContext([{ content: Buffer.from(''), fields, properties: { headers } }, channel, 'crates']);
}

export function inMemory(headers = crateHeaders(), value = JSON.stringify(PAYLOAD)): InMemoryContext {
  return new InMemoryContext([{ topic: 'crates', key: 'k', headers, value: Buffer.from(value) }]);
}
