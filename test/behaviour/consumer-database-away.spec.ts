import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { TcpProxy } from '../faults/proxy/tcp-proxy.ts';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { DATABASES, databaseOptions, dropDatabase, type DatabaseOptions } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import {
  createCrateApp,
  onKafka,
  onRabbitMq,
  PAYLOAD,
  RecordingChannel,
  type CrateApp,
} from './consumer-fixture.ts';

/** More often than a message is tried. */
const OUTAGES = 4;
const CONSUMER = { maxAttempts: 2, minBackoffMs: 1, maxBackoffMs: 20 };

for (const { name, needs } of DATABASES.filter(({ name: database }) => database !== 'libsql')) {
  describeWith(needs, `a consumer whose ${name} is away`, () => {
    let proxy: TcpProxy;
    let test: CrateApp;
    let orm: DatabaseOptions;

    beforeEach(async () => {
      const url = new URL(serviceUrl(name as 'mariadb' | 'postgres'));
      proxy = new TcpProxy(Number(url.port));
      url.port = String(await proxy.listen());
      orm = databaseOptions(name);
      test = await createCrateApp(
        { database: name, orm: { ...orm, clientUrl: url.href }, ownsDatabase: true },
        { consumer: CONSUMER },
      );
    });
    afterEach(async () => {
      proxy.resume();
      // A connection whose ROLLBACK failed does not come back to the pool, and pg's pool waits for it.
      await Promise.race([test.close(), new Promise((resolve) => setTimeout(resolve, 3_000))]);
      await proxy.close();
      await dropDatabase(orm).catch(() => undefined);
    });

    it('counts no failure while it is away, however many there are, and handles the message when it is back', async () => {
      test.behaviour.onCall = async (call, em) => {
        if (call > OUTAGES) return;
        proxy.cut();
        await em.flush();
        throw new Error('the connection is gone');
      };
      const channel = new RecordingChannel();
      const consumed = test.consumer.consume(PAYLOAD, onRabbitMq(channel));
      for (let outage = 1; outage <= OUTAGES; outage++) {
        await eventually(() => expect(test.consumer.counts.outages).toBe(outage));
        expect(channel.told).toEqual([]);
        proxy.resume();
      }
      await consumed;
      expect(channel.told).toEqual(['ack']);
      expect([test.behaviour.calls, await test.crates()]).toEqual([OUTAGES + 1, 1]);
      const expected = { handled: 1, failedAttempts: 0, deadLettered: 0, outages: OUTAGES };
      expect(test.consumer.counts).toMatchObject(expected);
    }, 60_000);

    it('and does not answer, without any error, waits for it in the same way', async () => {
      test.behaviour.onCall = async (call) => {
        if (call > 1) return;
        proxy.stall();
        throw new Error('the connection hangs');
      };
      const consumed = test.consumer.consume(PAYLOAD, onKafka());
      setTimeout(() => proxy.resume(), 6_500);
      await consumed;
      expect(await test.crates()).toBe(1);
      expect(test.consumer.counts).toMatchObject({ handled: 1, deadLettered: 0 });
    }, 60_000);

    it('lets the application end meanwhile, and the message goes back', async () => {
      test.behaviour.onCall = async () => {
        proxy.cut();
        throw new Error('the connection is gone');
      };
      const consumed = test.consumer.consume(PAYLOAD, onKafka());
      const rejected = expect(consumed).rejects.toMatchObject({ message: 'the application ends' });
      await eventually(() => expect(test.consumer.counts.outages).toBe(1));
      await test.consumer.onModuleDestroy();
      await rejected;
      proxy.resume();
    }, 60_000);

    it('keeps a message that can not be read, too, until the table takes it', async () => {
      proxy.cut();
      const consumed = test.consumer.consume('no json', onKafka(undefined, undefined, 'no json'));
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(test.consumer.counts.deadLettered).toBe(0);
      proxy.resume();
      await consumed;
      expect(await test.letters()).toHaveLength(1);
    }, 60_000);
  });
}
