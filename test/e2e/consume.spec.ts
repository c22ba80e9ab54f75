import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  EventHandler,
  IntegrationEvent,
  InMemoryTransport,
  NotificationEvent,
  Outbox,
  RequestMediator,
  type HandlesEvent,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { BROKERS, createBroker, type Broker } from '../support/brokers.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/silent-logger.ts';

/** An application without any controller. */
function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.rung`, topic })
  class BellRung extends NotificationEvent {
    times!: number;
  }
  class RingBell extends Command {
    times!: number;
  }
  const rung: number[] = [];

  @CommandHandler(RingBell)
  class RingBellHandler implements RequestHandler<RingBell> {
    constructor(private readonly outbox: Outbox) {}

    async execute({ times }: RingBell): Promise<void> {
      this.outbox.append(BellRung.of({ times }));
    }
  }

  @EventHandler(BellRung)
  class CountRings implements HandlesEvent<BellRung> {
    handle({ times }: BellRung): void {
      rung.push(times);
    }
  }
  return { providers: [RingBellHandler, CountRings], RingBell, rung };
}

for (const { name, needs } of BROKERS) {
  describeWith(needs, `topics that the module consumes, on ${name}`, () => {
    const topic = `consume${randomUUID().slice(0, 8)}`;
    const domain = createDomain(topic);
    let broker: Broker;
    let test: TestApp;

    beforeEach(async () => {
      broker = await createBroker(name, topic);
      test = await createTestApp({
        database: 'libsql',
        options: { transport: broker.transport, relay: {}, consume: [topic] },
        providers: domain.providers,
        servers: [broker.server],
      });
    }, 60_000);
    afterEach(async () => {
      await test.close();
      await broker.cleanUp();
    }, 60_000);

    it('reach the event handlers without a controller', async () => {
      await test.app.get(RequestMediator).send(domain.RingBell.of({ times: 3 }));
      await eventually(() => expect(domain.rung).toEqual([3]), 30_000);
    }, 60_000);
  });
}

describe('topics that the module consumes', () => {
  it('can stand beside the factory of forRootAsync, and are those of one application only', async () => {
    const apps = await Promise.all(
      ['first', 'second'].map(async (topic) => {
        const domain = createDomain(topic);
        const transport = new InMemoryTransport();
        const module = await Test.createTestingModule({
          imports: [
            ScheduleModule.forRoot(),
            CqrsOutboxModule.forRootAsync({
              store: InMemoryStore,
              consume: [topic],
              useFactory: () => ({ source: topic, transport }),
            }),
          ],
          providers: domain.providers,
        })
          .setLogger(silentLogger)
          .compile();
        const app = module.createNestApplication();
        const server = transport.createServer();
        app.connectMicroservice({ strategy: server });
        await app.startAllMicroservices();
        await app.init();
        return { app, domain, patterns: [...server.getHandlers().keys()] };
      }),
    );
    for (const [index, { app, domain }] of apps.entries())
      await app.get(RequestMediator).send(domain.RingBell.of({ times: index }));
    await eventually(() => expect(apps.map(({ domain }) => domain.rung)).toEqual([[0], [1]]));
    expect(apps.map(({ patterns }) => patterns)).toEqual([['first'], ['second']]);
    for (const { app } of apps) await app.close();
  });
});
