import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  DeadLetters,
  ECSTEvent,
  EventHandler,
  InMemoryTransport,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  Outbox,
  RequestMediator,
  type CqrsOutboxOptions,
} from '@cqrs-outbox/core';
import { InMemoryStore, RecordingTransport, TestClock, TestOutbox } from '@cqrs-outbox/testing';
import { Controller, type INestApplicationContext, type Provider } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { Type } from 'class-transformer';
import { IsDate, IsString } from 'class-validator';
import { createTestApp } from '../support/app.ts';
import { silentLogger } from '../support/silent-logger.ts';

@IntegrationEvent({ name: 'parcels.shipped', topic: 'parcels', key: ({ parcel }: Shipped) => parcel })
class Shipped extends NotificationEvent {
  @IsString() parcel!: string;
  @IsDate() @Type(() => Date) at!: Date;
}

@IntegrationEvent({ name: 'parcels.state', topic: 'parcels', key: ({ parcel }: ParcelState) => parcel })
class ParcelState extends ECSTEvent {
  parcel!: string;
}

@IntegrationEvent({ name: 'parcels.told', topic: 'parcels', destinations: ['default', 'audit'] })
class Told extends NotificationEvent {}

class Do extends Command {
  work!: (outbox: Outbox) => void;
}

@CommandHandler(Do)
class DoHandler {
  constructor(private readonly outbox: Outbox) {}

  async execute({ work }: Do): Promise<void> {
    work(this.outbox);
  }
}

/** What the handler was given, and whether it fails. */
class Shelf {
  readonly parcels: string[] = [];
  readonly headers: unknown[] = [];
  isFull = false;
}

@EventHandler(Shipped)
class ShelveHandler {
  constructor(private readonly shelf: Shelf) {}

  handle({ parcel, at }: Shipped, { headers }: { headers: unknown }): void {
    if (this.shelf.isFull) throw new Error('no room');
    if (at instanceof Date) this.shelf.parcels.push(parcel);
    this.shelf.headers.push(headers);
  }
}

@Controller()
class Deaf {
  @EventPattern('parcels')
  on(@Payload() _payload: unknown): void {}
}

const AT = new Date('2031-02-03T04:05:06.789Z');
const shipped = (parcel: string): Shipped => Shipped.of({ parcel, at: AT });

interface Started {
  app: INestApplicationContext;
  close(): Promise<void>;
}

/** Applications whose test outbox comes in each of the ways. */
const STORES: Record<string, (options: Pick<CqrsOutboxOptions, 'transport'>) => Promise<Started>> = {
  InMemoryStore: async (options) => {
    const app = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({ source: 'tests', relay: false, store: InMemoryStore, ...options }),
      ],
      providers: [DoHandler, ShelveHandler, Shelf],
    })
      .setLogger(silentLogger)
      .compile();
    await app.init();
    return { app, close: () => app.close() };
  },
  'MikroOrmOutbox on libSQL in memory': (options) => startOnLibSql(options, []),
  'MikroOrmOutbox, with TestOutbox as a provider': (options) => startOnLibSql(options, [TestOutbox]),
};

function startOnLibSql(options: Pick<CqrsOutboxOptions, 'transport'>, more: Provider[]): Promise<Started> {
  const providers = [DoHandler, ShelveHandler, Shelf, ...more];
  return createTestApp({ database: 'libsql', options, providers });
}

describe.each(Object.entries(STORES))('TestOutbox, %s', (_, start) => {
  let started: Started;
  let transport: RecordingTransport;
  let outbox: TestOutbox;

  beforeEach(async () => {
    transport = new RecordingTransport();
    started = await start({ transport: { default: transport, audit: new NullTransport() } });
    outbox = TestOutbox.of(started.app);
  });
  afterEach(() => started.close());

  const run = (work: Do['work']) => started.app.get(RequestMediator).send(Do.of({ work }));
  const shelf = () => started.app.get(Shelf);

  it('is one for each application', () => {
    expect(TestOutbox.of(started.app)).toBe(outbox);
  });

  it('has what was committed, in its order and as instances of its class, and nothing of a rollback', async () => {
    await run((given) => {
      given.append(shipped('a'));
      given.append(ParcelState.of({ parcel: 'a' }));
      given.append(shipped('b'));
    });
    const failing = run((given) => {
      given.append(shipped('c'));
      throw new Error('on purpose');
    });
    await expect(failing).rejects.toThrow('on purpose');
    expect(outbox.appended(Shipped)).toStrictEqual([shipped('a'), shipped('b')]);
    expect(outbox.appended().map(({ name }) => name)).toEqual([
      'parcels.shipped',
      'parcels.state',
      'parcels.shipped',
    ]);
    expect(outbox.published()).toEqual([]);
  });

  it('has what was published, also of what was refused at first, and keeps it among the appended', async () => {
    await run((given) => {
      for (const parcel of ['a', 'b']) given.append(shipped(parcel));
    });
    expect(await outbox.drain()).toMatchObject({ default: { published: 2 } });
    expect(outbox.published(Shipped)).toStrictEqual([shipped('a'), shipped('b')]);
    expect(outbox.published()).toMatchObject([
      { key: 'a', destination: 'default', payload: { parcel: 'a', at: AT.toISOString() } },
      { key: 'b' },
    ]);
    expect(outbox.appended(Shipped)).toHaveLength(2);
  });

  it('has an event for two destinations once when appended, and once for each when published', async () => {
    await run((given) => given.append(Told.of()));
    expect(outbox.appended(Told)).toHaveLength(1);
    expect(outbox.appended()).toHaveLength(1);
    await outbox.drain();
    expect(
      outbox
        .published()
        .map(({ destination }) => destination)
        .sort(),
    ).toEqual(['audit', 'default']);
  });

  it('has tombstones among the messages, and not among the events', async () => {
    await run((given) => given.appendTombstone(ParcelState, 'a'));
    expect(outbox.appended(ParcelState)).toEqual([]);
    expect(outbox.appended()).toMatchObject([{ name: 'parcels.state', key: 'a', payload: null }]);
  });

  it('has the dead letters, as long as they are there', async () => {
    transport.refuse({ key: 'a', permanent: true, times: 1 });
    await run((given) => given.append(shipped('a')));
    await outbox.drain();
    expect(await outbox.deadLetters()).toMatchObject([{ key: 'a', attempts: 1 }]);
    expect(outbox.published()).toEqual([]);
    await started.app.get(DeadLetters, { strict: false }).requeueAll();
    await outbox.drain();
    expect(await outbox.deadLetters()).toEqual([]);
    expect(outbox.published(Shipped)).toHaveLength(1);
  });

  it('forgets when it is told to, and sees what was left waiting when that is published', async () => {
    await run((given) => given.append(shipped('a')));
    outbox.clear();
    expect(outbox.appended()).toEqual([]);
    await outbox.drain();
    expect(outbox.published(Shipped)).toStrictEqual([shipped('a')]);
    outbox.clear();
    expect(outbox.published()).toEqual([]);
  });

  it('delivers an event to its handlers, rebuilt, and once for a message id', async () => {
    await outbox.deliver(shipped('a'), { messageId: 'm1', headers: { tenant: 'x' } });
    await outbox.deliver(shipped('a'), { messageId: 'm1' });
    await outbox.deliver(shipped('b'));
    expect(shelf().parcels).toEqual(['a', 'b']);
    expect(shelf().headers).toEqual([{ tenant: 'x' }, {}]);
  });

  it('rejects when a handler fails, which handles the message the next time', async () => {
    shelf().isFull = true;
    const failing = outbox.deliver(shipped('a'), { messageId: 'm1' });
    await expect(failing).rejects.toMatchObject({ code: 'EVENT_HANDLING' });
    shelf().isFull = false;
    await outbox.deliver(shipped('a'), { messageId: 'm1' });
    expect(shelf().parcels).toEqual(['a']);
  });

  it('refuses a class that is no integration event', () => {
    class Undeclared extends NotificationEvent {}
    expect(() => outbox.appended(Undeclared)).toThrow(/has no @IntegrationEvent/);
  });

  it('knows nothing of another application in the process', async () => {
    const other = await start({
      transport: { default: new RecordingTransport(), audit: new NullTransport() },
    });
    const others = TestOutbox.of(other.app);
    await run((given) => given.append(shipped('a')));
    await outbox.drain();
    expect([others.appended(), others.published()]).toEqual([[], []]);
    expect(outbox.published()).toHaveLength(1);
    await other.close();
  });
});

describe('TestOutbox', () => {
  it('sees what any transport has published, and delayed events when the clock has passed', async () => {
    const transport = new InMemoryTransport();
    const module = await Test.createTestingModule({
      imports: [CqrsOutboxModule.forRoot({ source: 'tests', relay: false, store: InMemoryStore, transport })],
      controllers: [Deaf],
      providers: [DoHandler],
    })
      .setLogger(silentLogger)
      .compile();
    const app = module.createNestApplication();
    app.connectMicroservice({ strategy: transport.createServer() });
    await app.init();
    await app.startAllMicroservices();
    const outbox = TestOutbox.of(app);
    const availableAt = new Date(app.get(TestClock).now() + 60_000);
    await app
      .get(RequestMediator)
      .send(Do.of({ work: (given: Outbox) => given.append(shipped('late'), { availableAt }) }));
    expect(outbox.appended(Shipped)).toHaveLength(1);
    await outbox.drain();
    expect(outbox.published(Shipped)).toStrictEqual([shipped('late')]);
    expect(app.get(TestClock).now()).toBe(availableAt.getTime());
    await app.close();
  });

  it('says so when the application has no outbox', async () => {
    const module = await Test.createTestingModule({}).compile();
    expect(() => TestOutbox.of(module)).toThrow('import CqrsOutboxModule.forRoot');
  });
});
