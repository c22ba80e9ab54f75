import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  CqrsOutboxModule,
  InboxStore,
  Outbox,
  OutboxHealthIndicator,
  OutboxRelay,
  StatusStore,
  type OutboxHealthLimits,
} from '@cqrs-outbox/core';
import { InMemoryStore, InMemoryUnitOfWork, TestClock } from '@cqrs-outbox/testing';
import { Controller, Get, type INestApplication } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { DOWN } from '../support/scripted-transport.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { StockAudited, StockMoved } from './events.ts';
import { WitnessTransport } from './witness-transport.ts';

const limits: { current: OutboxHealthLimits | undefined } = { current: undefined };

/** As a user writes it. */
@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly outbox: OutboxHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([
      () => this.outbox.isHealthy('outbox', limits.current),
      () => ({ other: { status: 'up' } }),
    ]);
  }
}

interface Answer {
  status: string;
  details: { outbox?: { status: string; problems: string[]; destinations: Record<string, unknown> } };
}

describe('the health indicator behind @nestjs/terminus', () => {
  let app: INestApplication;
  let clock: TestClock;
  let transport: WitnessTransport;
  let audit: WitnessTransport;

  const ask = async (): Promise<{ code: number; body: Answer }> => {
    const response = await fetch(`${await app.getUrl()}/health`);
    return { code: response.status, body: (await response.json()) as Answer };
  };
  const append = (...events: (StockMoved | StockAudited)[]) =>
    app.get(InMemoryUnitOfWork).runInTransaction(async () => {
      for (const event of events) app.get(Outbox).append(event);
    });

  beforeEach(async () => {
    limits.current = undefined;
    // Ages are counted from the time that an event has from the application's own clock.
    clock = new TestClock(Date.now());
    transport = new WitnessTransport();
    audit = new WitnessTransport();
    const module = await Test.createTestingModule({
      imports: [
        TerminusModule.forRoot({ logger: false }),
        ScheduleModule.forRoot(),
        CqrsOutboxModule.forRoot({
          source: 'tests',
          store: InMemoryStore.withClock(clock),
          transport: { default: transport, audit },
          relay: false,
        }),
      ],
      controllers: [HealthController],
    })
      .setLogger(silentLogger)
      .compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await app.close();
  });

  it('is up when nothing waits, with the figures of each destination', async () => {
    const nothing = { pending: 0, oldestAgeMs: 0, deadLetters: 0, state: 'up' };
    expect(await ask()).toMatchObject({
      code: 200,
      body: {
        status: 'ok',
        details: {
          outbox: { status: 'up', problems: [], destinations: { default: nothing, audit: nothing } },
        },
      },
    });
  });

  it('tells how many received messages are set aside, and is down when they are too many', async () => {
    const message = {
      ...{ messageId: 'a', name: 'a', topic: 'a', key: 'a', coordinates: 'a', reason: 'a' },
      ...{ stack: undefined, attempts: 0, headers: {}, payload: null },
    };
    await app.get(InboxStore, { strict: false }).setAside(message);
    expect(await ask()).toMatchObject({
      code: 200,
      body: { details: { outbox: { status: 'up', inboxDeadLetters: 1 } } },
    });
    limits.current = { maxInboxDeadLetters: 0 };
    expect(await ask()).toMatchObject({
      code: 503,
      body: { details: { outbox: { status: 'down', problems: ['inbox: 1 dead letters'] } } },
    });
  });

  it('is down when the oldest entry waits for longer than a minute, and up again when it is published', async () => {
    audit.decide = () => DOWN;
    await append(StockAudited.of({ item: 'a', step: 1 }));
    await app
      .get(OutboxRelay)
      .runOnce()
      .catch(() => undefined);
    expect(await ask()).toMatchObject({ code: 200 });
    clock.advance(70_000);
    const { code, body } = await ask();
    expect([code, body.status]).toEqual([503, 'error']);
    expect(body.details.outbox).toMatchObject({
      status: 'down',
      problems: [
        expect.stringMatching(/^audit: the oldest entry waits for \d+ ms$/),
        'audit: broker is away',
      ],
      destinations: { default: { pending: 0, state: 'up' }, audit: { pending: 1, state: 'down' } },
    });
    audit.decide = () => ({ status: 'published' });
    await app.get(OutboxRelay).runOnce();
    expect(await ask()).toMatchObject({ code: 200, body: { details: { outbox: { problems: [] } } } });
  });

  it.each<[string, OutboxHealthLimits, string]>([
    ['age', { maxAgeMs: 5_000 }, 'default: the oldest entry waits for'],
    ['number of entries', { maxPending: 2, maxAgeMs: 60_000 }, 'default: 3 entries wait'],
    ['number of dead letters', { maxDeadLetters: 0, maxAgeMs: 60_000 }, 'default: 1 dead letters'],
  ])('is down when the %s is over its limit, and up at the limit', async (_, given, problem) => {
    transport.decide = (key) =>
      key === 'bad'
        ? { status: 'refused', error: new Error('never'), permanent: true }
        : { status: 'unavailable', error: new Error('away') };
    await append(...['bad', 'a', 'b', 'c'].map((item) => StockMoved.of({ item, step: 1 })));
    // A destination that is down ends a pass, as far as it came.
    for (let pass = 0; pass < 5; pass++)
      await app
        .get(OutboxRelay)
        .runOnce()
        .catch(() => undefined);
    clock.advance(10_000);
    limits.current = given;
    const { code, body } = await ask();
    expect(code).toBe(503);
    expect(body.details.outbox?.problems.filter((each) => each.startsWith(problem))).toHaveLength(1);
    limits.current = { maxAgeMs: 20_000, maxPending: 3, maxDeadLetters: 1 };
    expect(await ask()).toMatchObject({ code: 200 });
  });

  it('names every limit that is exceeded', async () => {
    await append(...['a', 'b'].map((item) => StockAudited.of({ item, step: 1 })));
    clock.advance(10_000);
    limits.current = { maxAgeMs: 5_000, maxPending: 1 };
    const { body } = await ask();
    expect(body.details.outbox?.problems).toEqual([
      expect.stringMatching(/^default: the oldest/),
      'default: 2 entries wait',
      expect.stringMatching(/^audit: the oldest/),
      'audit: 2 entries wait',
    ]);
  });

  it('is down, and hides no other indicator, when the database can not be asked', async () => {
    jest.spyOn(app.get(StatusStore), 'read').mockRejectedValueOnce(new Error('connection refused'));
    expect(await ask()).toMatchObject({
      code: 503,
      body: {
        details: {
          other: { status: 'up' },
          outbox: { status: 'down', problems: ["The outbox can't be read: connection refused"] },
        },
      },
    });
    expect(await ask()).toMatchObject({ code: 200 });
  });
});
