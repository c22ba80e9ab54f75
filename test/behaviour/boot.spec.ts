import { describe, expect, it, jest } from '@jest/globals';
import {
  Command,
  CommandHandler,
  ConfigurationError,
  CqrsOutboxModule,
  DomainEvent,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  Query,
  QueryHandler,
  RequestMediator,
  type CqrsOutboxOptions,
  type HandlesEvent,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { Transport } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { silentLogger } from '../support/silent-logger.ts';

class Open extends Command {}

@CommandHandler(Open)
class OpenHandler implements RequestHandler<Open> {
  async execute(): Promise<void> {}
}

const options: CqrsOutboxOptions = { source: 'tests', transport: new NullTransport() };

async function boot(given: object, metadata: ModuleMetadata = {}): Promise<void> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [
      ...(metadata.imports ?? [ScheduleModule.forRoot()]),
      CqrsOutboxModule.forRoot({ ...options, store: InMemoryStore, ...given }),
    ],
  })
    .setLogger(silentLogger)
    .compile();
  const app = module.createNestApplication();
  try {
    await app.init();
  } finally {
    await app.close();
  }
}

async function faultsOf(given: object, metadata?: ModuleMetadata): Promise<readonly string[]> {
  const error: unknown = await boot(given, metadata).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as ConfigurationError).code).toBe('CONFIGURATION');
  return (error as ConfigurationError).faults;
}

describe('the boot check', () => {
  it('goes well by init() of a microservice, which calls the hooks of modules twice', async () => {
    const onStartup = jest.fn(async () => undefined);
    const module = await Test.createTestingModule({
      imports: [
        ScheduleModule.forRoot(),
        CqrsOutboxModule.forRoot({ ...options, store: InMemoryStore, onStartup: [onStartup] }),
      ],
      providers: [OpenHandler],
    })
      .setLogger(silentLogger)
      .compile();
    const app = module.createNestMicroservice({ transport: Transport.TCP });
    await app.init();
    await app.get(RequestMediator, { strict: false }).send(Open.of({}));
    expect(onStartup).toHaveBeenCalledTimes(1);
    await app.close();
  });

  it('lets a right configuration pass', async () => {
    await expect(boot({}, { providers: [OpenHandler] })).resolves.toBeUndefined();
  });

  it('lists all faults of the options in one error', async () => {
    const faults = await faultsOf(
      {
        source: '',
        transport: { orders: 'NO_SUCH_CLIENT', audit: 7 },
        store: undefined,
        relay: { cron: 'every second', batchSize: -1, maxAttempt: 3, minBackoffMs: 10, maxBackoffMs: 5 },
        validation: { whiteList: true },
        maxPayloadBytes: 0.5,
        consumer: {
          retryDelayMs: 1,
          maxAttempts: 0,
          minBackoffMs: 10,
          maxBackoffMs: 5,
          handlerTimeoutMs: -1,
          batch: { maxMessages: 1, maxTransactions: 0 },
          deadLetters: { destination: 'letters', topic: '' },
        },
        interceptor: [],
        onStartup: 'now',
        consume: ['meetings', 'meetings', 'two words', 7],
      },
      { imports: [] },
    );
    const text = faults.join('\n');
    for (const fault of [
      /^interceptor is no option; known are .*interceptors/m,
      /^source: /m,
      /^transport\.audit: neither/m,
      /^transport orders: no provider has the token NO_SUCH_CLIENT/m,
      /^relay\.maxAttempt is no option/m,
      /^relay\.batchSize is -1, but must be an integer from 1/m,
      /^relay\.minBackoffMs is greater/m,
      /^relay\.cron: "every second" is no cron expression/m,
      /^validation\.whiteList is no option/m,
      /^maxPayloadBytes is 0\.5/m,
      /^consumer\.retryDelayMs is no option/m,
      /^consumer\.maxAttempts is 0/m,
      /^consumer\.minBackoffMs is greater/m,
      /^consumer\.handlerTimeoutMs is -1/m,
      /^consumer\.batch\.maxMessages is 1,/m,
      /^consumer\.batch\.maxTransactions is 0,/m,
      /^consumer\.deadLetters\.destination is letters, but transport names orders, audit/m,
      /^consumer\.deadLetters\.topic must be a text/m,
      /^onStartup must be a list/m,
      /^store: give a store module/m,
      /^no ScheduleModule/m,
      /^consume: "meetings" is there twice/m,
      /^consume: "two words" is no topic/m,
      /^consume: 7 is no topic/m,
    ]) {
      expect(text).toMatch(fault);
    }
  });

  it.each([[[]], ['meetings'], [null]])('names what is wrong with consume: %j', async (consume) => {
    expect(await faultsOf({ consume })).toEqual([expect.stringMatching(/^consume: give a list of topics/)]);
  });

  it('lists the faults of slots, leases, limits and housekeeping in one error, each with what it may be', async () => {
    const faults = await faultsOf({
      slots: 257,
      strictOrder: 'yes',
      relay: { leaseMs: 1, storeTimeoutMs: 0, publishTimeoutMs: '5s', maxBackoffMs: 2 ** 31, leaseMS: 500 },
      housekeeping: {
        archiveRetentionMs: true,
        inboxRetentionMs: 'a week',
        deadLetterRetentionMs: 0,
        inboxDeadLetterRetentionMs: null,
        redeliveryWindowMs: -1,
        intervalMs: Infinity,
        retentionMs: 5,
      },
    });
    const expected = [
      /^slots is 257, but must be an integer from 1 to 256$/,
      /^strictOrder must be true or false$/,
      /^relay\.leaseMS is no option; known are .*leaseMs/,
      /^relay\.leaseMs is 1, but must be an integer from 500 to 600000$/,
      /^relay\.storeTimeoutMs is 0, but must be an integer from 1 to/,
      /^relay\.publishTimeoutMs is 5s, but must be an integer from 1 to/,
      /^relay\.maxBackoffMs is 2147483648, but must be an integer from 1 to 2147483647$/,
      /^housekeeping\.retentionMs is no option; known are .*inboxRetentionMs/,
      /^housekeeping\.archiveRetentionMs is true, but must be an integer from 1/,
      /^housekeeping\.inboxRetentionMs is a week, but must be an integer from 1/,
      /^housekeeping\.deadLetterRetentionMs is 0, but must be an integer from 1/,
      /^housekeeping\.inboxDeadLetterRetentionMs is null, but must be an integer from 1/,
      /^housekeeping\.redeliveryWindowMs is -1, but must be an integer from 1/,
      /^housekeeping\.intervalMs is Infinity, but must be an integer from 1/,
    ];
    for (const fault of expected) expect(faults).toContainEqual(expect.stringMatching(fault));
    expect(faults).toHaveLength(expected.length);
  });

  it.each([0, 257, 1.5, -1, Number.NaN, '16'])('refuses %p slots', async (slots) => {
    await expect(faultsOf({ slots })).resolves.toEqual([
      `slots is ${String(slots)}, but must be an integer from 1 to 256`,
    ]);
  });

  it('takes the least and the most of slots and lease time', async () => {
    await expect(boot({ slots: 1, relay: { leaseMs: 500 } })).resolves.toBeUndefined();
    await expect(boot({ slots: 256, relay: { leaseMs: 600_000 } })).resolves.toBeUndefined();
  });

  it('refuses maxAttempts: 0, by which nothing would ever be tried', async () => {
    await expect(faultsOf({ relay: { maxAttempts: 0 } })).resolves.toEqual([
      'relay.maxAttempts is 0, but must be an integer from 1 to 1000000',
    ]);
    await expect(boot({ relay: { maxAttempts: 1 } })).resolves.toBeUndefined();
  });

  it('refuses an inbox that forgets messages which can still be delivered again', async () => {
    const housekeeping = { inboxRetentionMs: 3_600_000 };
    await expect(faultsOf({ housekeeping })).resolves.toEqual([
      'housekeeping.inboxRetentionMs (3600000) is shorter than housekeeping.redeliveryWindowMs (604800000): a message ' +
        'that is delivered again after its inbox row is gone would take effect twice',
    ]);
    await expect(
      boot({ housekeeping: { ...housekeeping, redeliveryWindowMs: 3_600_000 } }),
    ).resolves.toBeUndefined();
    await expect(boot({ housekeeping: { inboxRetentionMs: false } })).resolves.toBeUndefined();
  });

  it('refuses a section of options that is no object', async () => {
    for (const section of ['relay', 'housekeeping', 'consumer', 'validation']) {
      for (const given of [true, 'on', [], null]) {
        await expect(faultsOf({ [section]: given })).resolves.toEqual([`${section} must be an object`]);
      }
    }
    await expect(faultsOf({ housekeeping: false })).resolves.toEqual(['housekeeping must be an object']);
  });

  it('names a missing transport, and an empty record of them', async () => {
    await expect(faultsOf({ transport: undefined })).resolves.toEqual([
      expect.stringContaining('transport: give Nest'),
    ]);
    await expect(faultsOf({ transport: {} })).resolves.toHaveLength(1);
  });

  it('refuses to be configured twice', async () => {
    const again = CqrsOutboxModule.forRoot({ ...options, relay: false, store: InMemoryStore });
    const [fault] = await faultsOf({}, { imports: [ScheduleModule.forRoot(), again] });
    expect(fault).toBe('CqrsOutboxModule is configured 2 times: call forRoot once, in the root module');
  });

  it('needs no ScheduleModule where the relay is off', async () => {
    await expect(boot({ relay: false }, { imports: [] })).resolves.toBeUndefined();
  });

  it('refuses a RabbitMQ exchange that Nest would not publish to', async () => {
    const transport = { transport: Transport.RMQ, options: { exchange: 'meetings', exchangeType: 'topic' } };
    await expect(faultsOf({ transport })).resolves.toEqual([
      expect.stringContaining('the exchange meetings is used only with wildcards: true'),
    ]);
  });

  it('refuses a token that is no client', async () => {
    const given = { transport: 'THING' };
    const imports = [ScheduleModule.forRoot(), globally({ provide: 'THING', useValue: {} })];
    await expect(faultsOf(given, { imports })).resolves.toEqual([
      expect.stringContaining('neither a ClientProxy nor a Transport'),
    ]);
  });

  it('names both handlers of one request, and their modules', async () => {
    @CommandHandler(Open)
    class SecondOpenHandler implements RequestHandler<Open> {
      async execute(): Promise<void> {}
    }
    @Module({ providers: [SecondOpenHandler] })
    class OtherModule {}
    const [fault] = await faultsOf(
      {},
      { imports: [ScheduleModule.forRoot(), OtherModule], providers: [OpenHandler] },
    );
    expect(fault).toContain('Open has two handlers');
    expect(fault).toContain('OpenHandler (RootTestModule)');
    expect(fault).toContain('SecondOpenHandler (OtherModule)');
  });

  it('takes one handler in two modules for two', async () => {
    @Module({ providers: [OpenHandler] })
    class OtherModule {}
    const metadata = { imports: [ScheduleModule.forRoot(), OtherModule], providers: [OpenHandler] };
    await expect(faultsOf({}, metadata)).resolves.toEqual([
      expect.stringMatching(
        /OpenHandler \(OtherModule\).*OpenHandler|OpenHandler.*OpenHandler \(OtherModule\)/,
      ),
    ]);
  });

  it('names both classes of one event name', async () => {
    @IntegrationEvent({ name: 'a.happened', topic: 'a' })
    class First extends NotificationEvent {}
    @IntegrationEvent({ name: 'a.happened', topic: 'a' })
    class Second extends NotificationEvent {}
    @EventHandler(First)
    class OnFirst implements HandlesEvent<First> {
      async handle(): Promise<void> {}
    }
    @EventHandler(Second)
    class OnSecond implements HandlesEvent<Second> {
      async handle(): Promise<void> {}
    }
    const [fault, ...rest] = await faultsOf({}, { providers: [OnFirst, OnSecond] });
    expect(rest).toEqual([]);
    expect(fault).toMatch(/OnSecond \(RootTestModule\).*a\.happened is on two classes, First and Second/);
    await expect(faultsOf({ events: [Second] }, { providers: [OnFirst] })).resolves.toHaveLength(1);
  });

  it('names a handler that is decorated for something that is no class, or for the wrong kind', async () => {
    class Ask extends Query<number> {}
    class Plain {
      field: string = '';
    }
    @CommandHandler(undefined as unknown as Type<Command>)
    class CircularHandler implements RequestHandler<Command> {
      async execute(): Promise<void> {}
    }
    @QueryHandler(Open as unknown as typeof Ask)
    class WrongKindHandler implements RequestHandler<Ask> {
      async execute(): Promise<number> {
        return 1;
      }
    }
    @EventHandler(Plain as unknown as typeof NoEvent)
    class NoEventHandler implements HandlesEvent<NoEvent> {
      async handle(): Promise<void> {}
    }
    @CommandHandler(Open)
    class TypoHandler {
      async execute(): Promise<void> {}
    }
    Reflect.deleteProperty(TypoHandler.prototype, 'execute');
    const faults = await faultsOf(
      {},
      { providers: [CircularHandler, WrongKindHandler, NoEventHandler, TypoHandler] },
    );
    expect(faults).toEqual([
      expect.stringContaining(
        'CircularHandler (RootTestModule): @CommandHandler got undefined, which is no class',
      ),
      expect.stringContaining('@QueryHandler(Open), but Open does not extend Query'),
      expect.stringContaining('@EventHandler(Plain), but Plain does not extend DomainEvent'),
      expect.stringContaining('TypoHandler (RootTestModule) has no method execute()'),
    ]);
  });

  it('names a phase at the handler of an integration event, and one that is none', async () => {
    @IntegrationEvent({ name: 'boot.phased', topic: 'boot' })
    class Phased extends NotificationEvent {}
    class Local extends DomainEvent {}
    const handlers = [
      [Phased, 'after-commit'],
      [Phased, 'before-commit'],
      [Local, 'later' as 'after-commit'],
      [Local, 'after-commit'],
    ] as const;
    const providers = handlers.map(([event, phase], index) => {
      @EventHandler<object>(event, { phase, name: String(index) })
      class Phasing implements HandlesEvent<object> {
        async handle(): Promise<void> {}
      }
      return Phasing;
    });
    const brokers = 'Phasing (RootTestModule): phase is for domain events, but Phased comes from a broker';
    await expect(faultsOf({}, { providers })).resolves.toEqual([
      expect.stringContaining(brokers),
      expect.stringContaining(brokers),
      'Phasing (RootTestModule): phase must be one of before-commit, after-commit',
    ]);
  });

  it('names an event that is handled but not declared', async () => {
    class Undeclared extends NotificationEvent {}
    @EventHandler(Undeclared)
    class OnUndeclared implements HandlesEvent<Undeclared> {
      async handle(): Promise<void> {}
    }
    const [fault] = await faultsOf({}, { providers: [OnUndeclared] });
    expect(fault).toContain('Undeclared has no @IntegrationEvent');
  });

  it('names a declared event for a destination that is not there', async () => {
    @IntegrationEvent({ name: 'b.happened', topic: 'b', destinations: 'nowhere' })
    class Elsewhere extends NotificationEvent {}
    await expect(faultsOf({ events: [Elsewhere] })).resolves.toEqual([
      'b.happened is for the destination nowhere, but transport names default',
    ]);
  });

  it('refuses a wrong declaration when the class is defined', () => {
    const declare = (given: object) => () => {
      @IntegrationEvent({ name: 'c.happened', topic: 'c', ...given })
      class Wrong extends NotificationEvent {}
      return Wrong;
    };
    for (const given of [
      { name: '' },
      { name: 'has space' },
      { topic: ' ' },
      { version: 0 },
      { version: 1.5 },
      { destinations: [] },
      { name: 'x'.repeat(192) },
    ]) {
      expect(declare(given)).toThrow(/@IntegrationEvent of Wrong/);
    }
  });

  it('refuses a policy or a strictOrder that is none when the class is defined', () => {
    const declare = (given: object) => () => {
      @IntegrationEvent({ name: 'd.happened', topic: 'd', ...given })
      class Wrong extends NotificationEvent {}
      return Wrong;
    };
    for (const deadLetterPolicy of ['stop', 'Park', '', true, 1]) {
      expect(declare({ deadLetterPolicy })).toThrow(
        "@IntegrationEvent of Wrong: deadLetterPolicy must be 'continue' or 'park'.",
      );
    }
    for (const strictOrder of ['yes', 1, null, {}]) {
      expect(declare({ strictOrder })).toThrow(
        '@IntegrationEvent of Wrong: strictOrder must be true or false.',
      );
    }
    const wrongInAll = { version: 0, deadLetterPolicy: 'stop', strictOrder: 'yes' };
    expect(declare(wrongInAll)).toThrow(
      /version must be .*; deadLetterPolicy must be .*; strictOrder must be/,
    );
    expect(declare({ deadLetterPolicy: 'park', strictOrder: true })).not.toThrow();
    expect(declare({ deadLetterPolicy: undefined, strictOrder: undefined })).not.toThrow();
  });

  it('throws what onStartup throws, and runs its hooks in order before the relay', async () => {
    const order: string[] = [];
    const hooks = [async () => void order.push('first'), () => void order.push('second')];
    await boot({ onStartup: hooks });
    expect(order).toEqual(['first', 'second']);
    const failing = () => Promise.reject(new Error('no licence'));
    await expect(boot({ onStartup: [failing] })).rejects.toThrow('no licence');
  });

  it('is configured asynchronously by a factory, a class or an existing provider', async () => {
    class Factory {
      createCqrsOutboxOptions(): CqrsOutboxOptions {
        return options;
      }
    }
    @Module({ providers: [Factory], exports: [Factory] })
    class FactoryModule {}
    const ways = [
      {
        useFactory: async (source: string) => ({ ...options, source }),
        inject: ['SOURCE'],
        imports: [globally({ provide: 'SOURCE', useValue: 's' })],
      },
      { useClass: Factory },
      { useExisting: Factory, imports: [FactoryModule] },
    ];
    for (const way of ways) {
      const module = await Test.createTestingModule({
        imports: [ScheduleModule.forRoot(), CqrsOutboxModule.forRootAsync({ ...way, store: InMemoryStore })],
        providers: [OpenHandler],
      })
        .setLogger(silentLogger)
        .compile();
      await module.init();
      await expect(module.get(RequestMediator).send(Open.of())).resolves.toBeUndefined();
      await module.close();
    }
  });

  it('lists the faults of asynchronous options as well', async () => {
    const module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRootAsync({ useFactory: () => ({ ...options, transport: undefined as never }) }),
      ],
    })
      .setLogger(silentLogger)
      .compile();
    await expect(module.init()).rejects.toMatchObject({
      faults: expect.arrayContaining([
        expect.stringContaining('store:'),
        expect.stringContaining('transport:'),
      ]) as unknown,
    });
    await module.close();
  });
});

class NoEvent extends NotificationEvent {}

function globally(provider: { provide: string; useValue: unknown }) {
  @Module({})
  class GlobalModule {}
  return { module: GlobalModule, global: true, providers: [provider], exports: [provider.provide] };
}
