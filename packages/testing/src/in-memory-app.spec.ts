import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  IntegrationEvent,
  NoActiveUnitOfWorkError,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  RequestMediator,
  type CqrsOutboxOptions,
} from '@cqrs-outbox/core';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ConsoleLogger } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  drain,
  InMemoryDeadLetterStore,
  InMemoryOutboxStore,
  InMemoryStore,
  InMemoryUnitOfWork,
  published,
  RecordingTransport,
  TestClock,
} from './index.js';

@IntegrationEvent({ name: 'rooms.closed', topic: 'rooms', key: ({ room }: RoomClosed) => room })
class RoomClosed extends NotificationEvent {
  room!: string;
  times = 1;
}

@IntegrationEvent({ name: 'rooms.opened', topic: 'rooms', key: ({ room }: RoomOpened) => room })
class RoomOpened extends NotificationEvent {
  room!: string;
}

@IntegrationEvent({
  name: 'rooms.flooded',
  topic: 'rooms',
  key: ({ room }: RoomFlooded) => room,
  deadLetterPolicy: 'park',
})
class RoomFlooded extends NotificationEvent {
  room!: string;
}

class CloseRoom extends Command {
  rooms!: string[];
  fails = false;
}

@CommandHandler(CloseRoom)
class CloseRoomHandler {
  constructor(private readonly outbox: Outbox) {}

  async execute({ rooms, fails }: CloseRoom): Promise<void> {
    rooms.forEach((room, index) => this.outbox.append(RoomClosed.of({ room, times: index })));
    if (fails) throw new Error('on purpose');
  }
}

const open: TestingModule[] = [];

afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

async function start(
  transport: RecordingTransport,
  options: Partial<CqrsOutboxOptions> & {
    store?: Parameters<typeof CqrsOutboxModule.forRoot>[0]['store'];
  } = {},
): Promise<TestingModule> {
  const app = await Test.createTestingModule({
    imports: [
      ScheduleModule.forRoot(),
      CqrsOutboxModule.forRoot({ source: 'test', transport, relay: false, store: InMemoryStore, ...options }),
    ],
    providers: [CloseRoomHandler],
  })
    .setLogger(new ConsoleLogger({ logLevels: [] }))
    .compile();
  open.push(app);
  return app.init();
}

const close = (app: TestingModule, ...rooms: string[]): Promise<void> =>
  app.get(RequestMediator).send(CloseRoom.of({ rooms, fails: false }));

const roomsIn = (transport: RecordingTransport): unknown[] =>
  published(transport, RoomClosed).map(({ payload }) => (payload as RoomClosed).room);

describe('an application in memory', () => {
  it('publishes what its commands append, and nothing else', async () => {
    const transport = new RecordingTransport();
    const app = await start(transport);
    await close(app, 'a', 'b');
    await expect(app.get(RequestMediator).send(CloseRoom.of({ rooms: ['c'], fails: true }))).rejects.toThrow(
      'on purpose',
    );
    expect(
      app
        .get(InMemoryOutboxStore)
        .entries()
        .map(({ key }) => key),
    ).toEqual(['a', 'b']);
    expect(await drain(app)).toEqual({ default: { published: 2, refused: 0, deadLettered: 0 } });
    expect(published(transport, RoomClosed).map(({ payload }) => payload)).toEqual([
      { room: 'a', times: 0 },
      { room: 'b', times: 1 },
    ]);
    expect(published(transport, RoomOpened)).toEqual([]);
    expect(published(transport)).toHaveLength(2);
  });

  it('refuses an append outside of a command', async () => {
    const app = await start(new RecordingTransport());
    expect(() => app.get(Outbox).append(RoomClosed.of({ room: 'a', times: 1 }))).toThrow(
      NoActiveUnitOfWorkError,
    );
  });

  it('shares nothing with another application in the process', async () => {
    const [one, two] = [new RecordingTransport(), new RecordingTransport()];
    const [first, second] = [await start(one), await start(two)];
    await close(first, 'a');
    first.get(TestClock).advance(1_000);
    await drain(second);
    expect(two.published).toEqual([]);
    expect(second.get(TestClock).now()).toBe(first.get(TestClock).now() - 1_000);
    await drain(first);
    expect(roomsIn(one)).toEqual(['a']);
  });

  it('opens no transaction of one application in the other', async () => {
    const [first, second] = [await start(new RecordingTransport()), await start(new RecordingTransport())];
    await first.get(InMemoryUnitOfWork).runInTransaction(async () => {
      expect(second.get(InMemoryUnitOfWork).current()).toBeUndefined();
    });
  });
});

describe('drain', () => {
  it('advances the clock to each retry, and waits for none', async () => {
    const transport = new RecordingTransport();
    transport.refuse({ key: 'a', times: 3 });
    const app = await start(transport);
    const before = app.get(TestClock).now();
    await close(app, 'a', 'b', 'a');
    expect(await drain(app)).toEqual({ default: { published: 3, refused: 3, deadLettered: 0 } });
    expect(roomsIn(transport)).toEqual(['b', 'a', 'a']);
    expect(app.get(TestClock).now()).toBeGreaterThan(before);
  });

  it('ends with what becomes a dead letter', async () => {
    const transport = new RecordingTransport();
    transport.refuse({ key: 'a', permanent: true });
    const app = await start(transport);
    await close(app, 'a', 'b');
    expect(await drain(app)).toEqual({ default: { published: 1, refused: 0, deadLettered: 1 } });
    expect(app.get(InMemoryOutboxStore).deadLetters()).toMatchObject([{ key: 'a', attempts: 1 }]);
  });

  it('advances the clock to delayed events', async () => {
    const transport = new RecordingTransport();
    const app = await start(transport);
    const availableAt = new Date(app.get(TestClock).now() + 86_400_000);
    await app.get(InMemoryUnitOfWork).runInTransaction(async () => {
      app.get(Outbox).append(RoomClosed.of({ room: 'late', times: 0 }), { availableAt });
      app.get(Outbox).append(RoomClosed.of({ room: 'early', times: 0 }));
    });
    await drain(app);
    expect(roomsIn(transport)).toEqual(['early', 'late']);
    expect(app.get(TestClock).now()).toBe(availableAt.getTime());
  });

  it('says so when a dead letter parks a key', async () => {
    const transport = new RecordingTransport();
    transport.refuse({ name: 'rooms.flooded', permanent: true, times: 1 });
    const app = await start(transport);
    await app.get(InMemoryUnitOfWork).runInTransaction(async () => {
      app.get(Outbox).append(RoomFlooded.of({ room: 'a' }));
      app.get(Outbox).append(RoomClosed.of({ room: 'a', times: 0 }));
    });
    await expect(drain(app)).rejects.toThrow(/a dead letter that parks their key \(default: 1\)/);
    await app.get(InMemoryDeadLetterStore).requeue({});
    await drain(app);
    expect(published(transport).map(({ name }) => name)).toEqual(['rooms.flooded', 'rooms.closed']);
  });

  it('fails when the destination is down', async () => {
    const transport = new RecordingTransport();
    transport.beUnavailable();
    const app = await start(transport);
    await close(app, 'a');
    await expect(drain(app)).rejects.toThrow('Unavailable by the test');
    transport.recover();
    await drain(app);
    expect(roomsIn(transport)).toEqual(['a']);
  });

  it('says so when it would have to wait, with a clock that is not its own', async () => {
    const transport = new RecordingTransport();
    transport.refuse({ times: 1 });
    const app = await start(transport, { store: InMemoryStore.withClock({ now: () => 0 }) });
    await close(app, 'a');
    await expect(drain(app)).rejects.toThrow(/^Entries wait for a time that is not due, .*\(default: 1\)/);
  });
});

describe('RecordingTransport', () => {
  it('hangs until it recovers, without holding up other keys', async () => {
    const transport = new RecordingTransport();
    transport.hang({ key: 'a' });
    const app = await start(transport);
    await close(app, 'a', 'b');
    const pass = app.get(OutboxRelay).runOnce();
    // The pass reads first: a few turns later it has published what does not hang.
    while (transport.published.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(roomsIn(transport)).toEqual(['b']);
    expect(transport.attempted).toHaveLength(2);
    transport.recover();
    await pass;
    expect(roomsIn(transport)).toEqual(['b', 'a']);
  });

  it('forgets what it has recorded', async () => {
    const transport = new RecordingTransport();
    const app = await start(transport);
    await close(app, 'a');
    await drain(app);
    transport.clear();
    expect([transport.published, transport.attempted]).toEqual([[], []]);
  });
});

describe('TestClock', () => {
  it('moves only when it is advanced', () => {
    const clock = new TestClock(100);
    expect(clock.now()).toBe(100);
    clock.advance(50);
    expect(clock.now()).toBe(150);
    expect(() => clock.advance(-1)).toThrow(RangeError);
    expect(() => clock.advance(Number.NaN)).toThrow(RangeError);
  });
});
