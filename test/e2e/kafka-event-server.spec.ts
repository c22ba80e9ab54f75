import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigurationError, KafkaEventServer } from '@cqrs-outbox/core';
import { KafkaContext } from '@nestjs/microservices';
import type { ConsumerHeartbeatEvent } from 'kafkajs';
import { EMPTY } from 'rxjs';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import * as kafka from '../services/kafka.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer } from '../services/service.ts';
import { freePort } from '../services/wait.ts';
import { eventually } from '../support/eventually.ts';
import { KafkaProbe, KafkaScene } from '../support/kafka-scene.ts';

/** Waits until it is opened. */
function gate(): { passed: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

const steps = (count: number) => Array.from({ length: count }, (_, step) => step);

describeWith(['kafka'], 'KafkaEventServer', () => {
  let scene: KafkaScene;
  let probe: KafkaProbe;

  beforeEach(() => {
    scene = new KafkaScene(serviceUrl('kafka').split(','));
    probe = new KafkaProbe();
  });
  afterEach(() => scene.close(), 60_000);

  it('handles messages of a key in their order, one after another, and those of different keys at the same time', async () => {
    await scene.open(1);
    const keys = ['a', 'b', 'c', 'd'];
    await scene.send(...steps(5).flatMap((step) => keys.map((key) => ({ key, step }))));
    const together = gate();
    const runningKeys = new Set<string | null>();
    const clashes: unknown[] = [];
    probe.onMessage = async ({ key, step }) => {
      if (runningKeys.has(key)) clashes.push([key, step]);
      runningKeys.add(key);
      // Nobody gets on before all four keys are in hand.
      if (probe.running === keys.length) together.open();
      await together.passed;
      // A slow key must not be overtaken by itself.
      if (key === 'a') await new Promise((resolve) => setTimeout(resolve, 5));
      runningKeys.delete(key);
    };
    await scene.consume(probe, scene.server({ maxConcurrency: 4 }));
    await eventually(() => expect(probe.handled).toHaveLength(20));
    expect(keys.map((key) => probe.stepsOf(key))).toEqual(keys.map(() => steps(5)));
    expect(clashes).toEqual([]);
    await eventually(async () => expect(await scene.committed()).toEqual([20]));
  }, 60_000);

  it('has no more than maxConcurrency messages in hand, in all partitions together', async () => {
    await scene.open(4);
    const messages = steps(200).map((step) => ({ key: `k${step}`, step, partition: step % 4 }));
    await scene.send(...messages);
    probe.onMessage = () => new Promise((resolve) => setImmediate(resolve));
    await scene.consume(probe, scene.server({ maxConcurrency: 3 }));
    await eventually(() => expect(probe.handled.length).toBeGreaterThanOrEqual(200));
    expect(probe.mostRunning).toBe(3);
  }, 60_000);

  it('keeps the order of messages without a key', async () => {
    await scene.open(1);
    await scene.send(...steps(50).map((step) => ({ step })));
    probe.onMessage = ({ step }) => new Promise((resolve) => setTimeout(resolve, step % 3));
    await scene.consume(probe);
    await eventually(() => expect(probe.stepsOf(null)).toEqual(steps(50)));
  }, 60_000);

  it('delivers a message again that was not handled, whatever the error, and commits no offset past it', async () => {
    await scene.open(1);
    await scene.send(
      { key: 'good', step: 0 },
      { key: 'bad', step: 1 },
      { key: 'good', step: 2 },
      { key: 'bad', step: 3 },
      { key: 'other', step: 4 },
    );
    let isWell = false;
    probe.onMessage = async ({ step }) => {
      if (step === 1 && !isWell) throw new Error('not today');
    };
    await scene.consume(probe);
    await eventually(() => expect(probe.stepsOf('bad', probe.calls).length).toBeGreaterThan(2));
    // Others went on beside it, and did not take the offset along.
    expect(probe.stepsOf('good')).toContain(2);
    expect(probe.stepsOf('bad', probe.calls)).not.toContain(3);
    await eventually(async () => expect(await scene.committed()).toEqual([1]));
    isWell = true;
    await eventually(() => expect(probe.stepsOf('bad')).toEqual([1, 3]));
    await eventually(async () => expect(await scene.committed()).toEqual([5]));
    expect(new Set(probe.handled.map(({ step }) => step))).toEqual(new Set(steps(5)));
  }, 60_000);

  it('commits what it has handled of a batch while the rest of it is in hand', async () => {
    await scene.open(1);
    await scene.send(...steps(10).map((step) => ({ key: `k${step}`, step })));
    const held = gate();
    probe.onMessage = ({ step }) => (step === 7 ? held.passed : Promise.resolve());
    await scene.consume(probe);
    await eventually(async () => expect(await scene.committed()).toEqual([7]));
    expect(probe.handled).toHaveLength(9);
    held.open();
    await eventually(async () => expect(await scene.committed()).toEqual([10]));
    expect(probe.calls).toHaveLength(10);
  }, 60_000);

  it('delivers again, to another, what one that crashed had not committed', async () => {
    await scene.open(1);
    await scene.send(...steps(4).map((step) => ({ key: 'k', step })));
    const line = cuttableLine();
    // Requests hang for longer than the session lasts.
    const session = { groupId: scene.groupId, sessionTimeout: 6_000, maxWaitTimeInMs: 200 };
    const stuck = gate();
    probe.onMessage = ({ step }) => (step === 2 ? stuck.passed : Promise.resolve());
    await scene.consume(
      probe,
      scene.server({
        client: { brokers: scene.brokers, requestTimeout: 8_000, socketFactory: line.open },
        consumer: session,
      }),
    );
    await eventually(async () => expect(await scene.committed()).toEqual([2]));
    line.cut();
    const successor = new KafkaProbe();
    await scene.consume(successor, scene.server({ consumer: session }));
    await eventually(() => expect(successor.stepsOf('k')).toEqual([2, 3]), 30_000);
    // The one that was taken for dead ends its work, and starts nothing more.
    stuck.open();
    await eventually(() => expect(probe.stepsOf('k')).toEqual([0, 1, 2]));
    await eventually(async () => expect(await scene.committed()).toEqual([4]));
    expect(probe.stepsOf('k', probe.calls)).toEqual([0, 1, 2]);
  }, 90_000);

  it('loses nothing and keeps the order of keys while servers come and go', async () => {
    await scene.open(4);
    const keys = steps(16).map(String);
    const log: { key: string | null; step: number }[] = [];
    const newProbe = () => {
      const made = new KafkaProbe();
      made.onMessage = async ({ key, step }) => {
        await new Promise((resolve) => setTimeout(resolve, (step % 3) * 3));
        log.push({ key, step });
      };
      return made;
    };
    const [first, second] = [newProbe(), newProbe()];
    let rounds = 0;
    const sendRound = () => scene.send(...keys.map((key) => ({ key, step: rounds }))).then(() => rounds++);
    const leaving = await scene.consume(first);
    while (rounds < 20) await sendRound();
    await scene.consume(second);
    await eventually(async () => {
      await sendRound();
      expect(second.handled.length).toBeGreaterThan(0);
    }, 30_000);
    await leaving.close();
    for (let more = 0; more < 20; more++) await sendRound();
    await eventually(async () => expect(await scene.committed()).toEqual(await scene.ends()), 60_000);
    for (const key of keys) {
      const arrived = log.filter((entry) => entry.key === key).map(({ step }) => step);
      expect(arrived.filter((step, index) => arrived.indexOf(step) === index)).toEqual(steps(rounds));
    }
    expect(first.handled.length).toBeGreaterThan(0);
  }, 120_000);

  it('says that it lives while handlers run', async () => {
    await scene.open(1);
    await scene.send({ key: 'k', step: 0 });
    const server = scene.server();
    let heartbeats = 0;
    const enough = gate();
    probe.onMessage = async () => {
      const [, consumer] = server.unwrap<[unknown, { on(name: string, listener: unknown): void }]>();
      consumer.on('consumer.heartbeat', (_: ConsumerHeartbeatEvent) => {
        if (++heartbeats === 3) enough.open();
      });
      await enough.passed;
    };
    await scene.consume(probe, server);
    await eventually(async () => expect(await scene.committed()).toEqual([1]), 30_000);
    expect(probe.calls).toHaveLength(1);
  }, 60_000);

  it('ends with the handlers that run, commits them and starts no more', async () => {
    await scene.open(1);
    await scene.send(...steps(3).map((step) => ({ key: 'k', step })));
    const held = gate();
    probe.onMessage = () => held.passed;
    const app = await scene.consume(probe);
    await eventually(() => expect(probe.running).toBe(1));
    const heartbeat = probe.calls[0]!.context.getHeartbeat();
    await expect(heartbeat()).resolves.toBeUndefined();
    let isClosed = false;
    const closed = app.close().then(() => (isClosed = true));
    // What a handler that waits for better times has to know.
    await eventually(() => expect(heartbeat()).rejects.toThrow('will be delivered again'));
    expect(isClosed).toBe(false);
    held.open();
    await closed;
    expect(probe.stepsOf('k', probe.calls)).toEqual([0]);
    expect(await scene.committed()).toEqual([1]);
  }, 60_000);

  it('hands on tombstones, headers and the coordinates', async () => {
    await scene.open(1);
    await scene.send({ key: 'k', step: null, headers: { ce_id: Buffer.from('ü-1') } });
    await scene.consume(probe);
    await eventually(() => expect(probe.handled).toHaveLength(1));
    const { context } = probe.handled[0]!;
    expect(context.getMessage()).toMatchObject({ value: null, headers: { ce_id: 'ü-1' }, offset: '0' });
    expect([context.getTopic(), context.getPartition()]).toEqual([scene.topic, 0]);
    expect(context.getConsumer()).toBeDefined();
  }, 60_000);

  it('handles thousands of messages, each once, those of a key in order', async () => {
    await scene.open(4);
    const keys = steps(100).map((key) => `key-${key}`);
    for (let step = 0; step < 50; step++) await scene.send(...keys.map((key) => ({ key, step })));
    await scene.consume(probe);
    await eventually(async () => expect(await scene.committed()).toEqual(await scene.ends()), 60_000);
    const coordinates = probe.calls.map(({ partition, offset }) => `${partition}@${offset}`);
    expect(new Set(coordinates).size).toBe(coordinates.length);
    expect(coordinates.length).toBe(sum(await scene.ends()));
    expect(keys.map((key) => probe.stepsOf(key))).toEqual(keys.map(() => steps(50)));
  }, 90_000);
});

describeWith(['kafka'], 'KafkaEventServer without its broker', () => {
  let directory: RunDirectory;
  let port: number;
  let broker: RunningServer | undefined;

  beforeEach(async () => {
    directory = createRunDirectory();
    port = await freePort();
  });
  afterEach(async () => {
    await broker?.stop();
    directory.remove();
  }, 60_000);

  it('boots, consumes when the broker comes, and again when it was away', async () => {
    const scene = new KafkaScene([`127.0.0.1:${port}`]);
    const probe = new KafkaProbe();
    // Few tries of kafkajs's own, so that it crashes and the server has to start it anew.
    const client = {
      brokers: scene.brokers,
      connectionTimeout: 500,
      retry: { retries: 1, initialRetryTime: 50 },
    };
    const consumer = {
      groupId: scene.groupId,
      sessionTimeout: 6_000,
      retry: { retries: 1, initialRetryTime: 50 },
    };
    await scene.consume(probe, scene.server({ client, consumer }));
    broker = await kafka.start(directory.path, port);
    await scene.open(1);
    await scene.send({ key: 'k', step: 1 });
    await eventually(() => expect(probe.stepsOf('k')).toEqual([1]), 60_000);
    await broker.stop('SIGKILL');
    broker = await kafka.start(directory.path, port);
    await eventually(() => scene.send({ key: 'k', step: 2 }), 30_000);
    await eventually(() => expect(probe.stepsOf('k')).toContain(2), 60_000);
    await scene.close();
  }, 180_000);

  it('can be closed, and leaves no timer', async () => {
    let attempts = 0;
    const server = new KafkaEventServer({
      client: {
        brokers: [`127.0.0.1:${port}`],
        logCreator: () => () => undefined,
        retry: { retries: 1, initialRetryTime: 10 },
        socketFactory: ({ host, port: to, onConnect }) => {
          attempts++;
          return connect({ host, port: to }, onConnect);
        },
      },
      consumer: { groupId: 'nobody' },
    });
    server.addHandler('topic', async () => undefined as never, true);
    expect(await listen(server)).toBeUndefined();
    await eventually(() => expect(attempts).toBeGreaterThan(2));
    // It waits for its next try now, or tries.
    const running = timers();
    await server.close();
    await eventually(() => expect(timers()).toBeLessThan(running));
  }, 60_000);
});

describe('the options of KafkaEventServer', () => {
  it('are checked at once, with all faults in one error', () => {
    const make = () =>
      new KafkaEventServer({ maxConcurrency: 0, run: { partitionsConsumedConcurrently: 1.5 } });
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(/maxConcurrency is 0(.|\n)*partitionsConsumedConcurrently is 1.5(.|\n)*groupId/);
  });

  it('fail the start when kafkajs does not take them', async () => {
    const server = new KafkaEventServer({
      consumer: { groupId: 'g', heartbeatInterval: 9_000, sessionTimeout: 6_000 },
    });
    server.addHandler('topic', async () => undefined as never, true);
    expect(String(await listen(server))).toMatch(/heartbeatInterval/);
    await server.close();
  });
});

describe('an event that KafkaEventServer handles', () => {
  const server = new KafkaEventServer({ consumer: { groupId: 'g' } });
  let ended = 0;
  server.setOnProcessingEndHook(() => {
    ended++;
  });
  const handle = (pattern: string) =>
    server.handleEvent(pattern, { pattern, data: null }, new KafkaContext([] as never));

  it('is not done before its handler, also when a processing hook does not hand on what that returns', async () => {
    server.setOnProcessingStartHook((_transport, _context, done) => void setImmediate(() => void done()));
    const held = gate();
    let isDone = false;
    server.addHandler('held', () => held.passed as never, true);
    const handling = handle('held').then(() => (isDone = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isDone).toBe(false);
    held.open();
    await handling;
    server.addHandler('failing', () => Promise.reject(new Error('no')), true);
    await expect(handle('failing')).rejects.toThrow('no');
    const throwing = (): never => {
      throw new Error('at once');
    };
    server.addHandler('throwing', throwing, true);
    await expect(handle('throwing')).rejects.toThrow('at once');
    server.addHandler('empty', async () => EMPTY, true);
    await expect(handle('empty')).resolves.toBeUndefined();
    expect(ended).toBe(4);
  });

  it('is not done before its handler either when a processing hook fails meanwhile', async () => {
    const failing = new KafkaEventServer({ consumer: { groupId: 'g' } });
    const held = gate();
    failing.addHandler('held', () => held.passed as never, true);
    failing.setOnProcessingStartHook((async (_transport: unknown, _context: unknown, done: () => unknown) => {
      void done();
      throw new Error('start hook');
    }) as never);
    let isDone = false;
    const handling = failing
      .handleEvent('held', { pattern: 'held', data: null }, new KafkaContext([] as never))
      .then(() => (isDone = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isDone).toBe(false);
    held.open();
    await handling;
  });

  it('has failed when its handler fails, and the hook at its end too', async () => {
    const failing = new KafkaEventServer({ consumer: { groupId: 'g' } });
    failing.addHandler('failing', () => Promise.reject(new Error('no')), true);
    failing.setOnProcessingStartHook((_transport, _context, done) => void setImmediate(() => void done()));
    failing.setOnProcessingEndHook(() => {
      throw new Error('end hook');
    });
    const handling = failing.handleEvent(
      'failing',
      { pattern: 'failing', data: null },
      new KafkaContext([] as never),
    );
    await expect(handling).rejects.toThrow('end hook');
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + Math.max(0, number), 0);
}

/** How many timers keep this process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

/** @returns what the callback was called with */
function listen(server: KafkaEventServer): Promise<unknown> {
  return new Promise((resolve) => void server.listen(resolve));
}

/** A network that can be cut for good, as it is for a process that has died. */
function cuttableLine() {
  const sockets = new Set<Socket>();
  let isCut = false;
  return {
    open: ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket => {
      // Nothing listens on port 1.
      const socket = connect({ host, port: isCut ? 1 : port }, onConnect);
      sockets.add(socket);
      return socket;
    },
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}
