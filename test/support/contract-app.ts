import { randomUUID } from 'node:crypto';
import {
  CqrsOutboxModule,
  EventConsumer,
  EventHandler,
  InMemoryContext,
  Outbox,
  type CqrsOutboxOptions,
  type EventClass,
  type HandlesEvent,
  type MessageContext,
  type OutboundEvent,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import {
  InMemoryInboxStore,
  InMemoryOutboxStore,
  InMemoryStore,
  InMemoryUnitOfWork,
  RecordingTransport,
} from '@cqrs-outbox/testing';
import type { Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { silentLogger } from './silent-logger.ts';

/** A message as it arrives. */
export interface Arrival {
  name: string;
  version?: number | string;
  /** An object is sent as JSON. */
  payload: object | string | Buffer | null;
  contentType?: string | undefined;
}

/** An application in memory that appends and receives events of some classes, for tests of what travels. */
export class ContractApp {
  /** What the handlers got, tombstones as null. */
  readonly received: { event: object | null; context: MessageContext }[] = [];
  #module!: TestingModule;

  static async start(
    events: readonly EventClass<OutboundEvent>[],
    options: Partial<CqrsOutboxOptions> = {},
  ): Promise<ContractApp> {
    const app = new ContractApp();
    app.#module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({
          source: 'tests',
          store: InMemoryStore,
          transport: new RecordingTransport(),
          relay: false,
          ...options,
        }),
      ],
      providers: events.map((event) => app.#handlerOf(event)),
    })
      .setLogger(silentLogger)
      .compile();
    await app.#module.init();
    return app;
  }

  /** The only event that was received, which must be an instance of this class. */
  only<E extends object>(eventClass: EventClass<E>): E {
    const [{ event } = { event: undefined }, ...rest] = this.received;
    if (rest.length > 0 || !(event instanceof eventClass)) {
      const reasons = this.rejected().map(({ reason }) => reason);
      throw new Error(`Received ${this.received.length}, set aside: ${JSON.stringify(reasons)}`);
    }
    return event;
  }

  get consumer(): EventConsumer {
    return this.#module.get(EventConsumer);
  }

  rejected(): RejectedMessage[] {
    return this.#module.get(InMemoryInboxStore).rejected();
  }

  /** Appends in a transaction of its own. @returns the payload as it travels */
  async append(event: OutboundEvent): Promise<Buffer> {
    await this.#module.get(InMemoryUnitOfWork).runInTransaction(async () => {
      this.#module.get(Outbox).append(event);
    });
    return this.#module.get(InMemoryOutboxStore).entries().at(-1)!.payload!;
  }

  /** Appends an event, and receives what travels of it. */
  async roundTrip<E extends OutboundEvent>(event: E): Promise<E> {
    await this.append(event);
    const { name, version, payload, contentType } = this.#module.get(InMemoryOutboxStore).entries().at(-1)!;
    this.received.length = 0;
    await this.receive({ name, version, payload, contentType });
    return this.only(event.constructor as EventClass<E>);
  }

  async receive({ name, version, payload, contentType = 'application/json' }: Arrival): Promise<void> {
    const headers: Record<string, string> = { ce_id: randomUUID(), ce_type: name };
    if (version !== undefined) headers['ce_eventversion'] = String(version);
    if (contentType !== '') headers['content-type'] = contentType;
    const value = payload === null || Buffer.isBuffer(payload) ? payload : bytesOf(payload);
    const message = { topic: 'tests', key: 'k', headers, value };
    await this.consumer.consume(undefined, new InMemoryContext([message]));
  }

  async close(): Promise<void> {
    await this.#module.close();
  }

  #handlerOf(eventClass: EventClass<OutboundEvent>): Type {
    const { received } = this;
    class Receiver implements HandlesEvent<OutboundEvent> {
      handle(event: OutboundEvent, context: MessageContext): void {
        received.push({ event, context });
      }
      handleTombstone(context: MessageContext): void {
        received.push({ event: null, context });
      }
    }
    EventHandler(eventClass, { name: `receiver of ${eventClass.name}` })(Receiver);
    return Receiver;
  }
}

function bytesOf(payload: object | string): Buffer {
  return Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
}
