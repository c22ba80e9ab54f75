import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  BUILT_IN_COMPRESSORS,
  Compressor,
  CqrsOutboxModule,
  ECSTEvent,
  EventConsumer,
  EventHandler,
  GzipCompressor,
  InMemoryContext,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  Outbox,
  OutboxArchive,
  OutboxRelay,
  ZstdCompressor,
  type AppendOptions,
  type CqrsOutboxOptions,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { InMemoryStore, published, RecordingTransport } from '@cqrs-outbox/testing';
import { KafkaContext, KafkaRetriableException, RmqContext } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { IsInt, IsString } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { ReversingCompressor } from '../support/reversing-compressor.ts';
import { silentLogger } from '../support/silent-logger.ts';

@IntegrationEvent({
  name: 'reports.written',
  topic: 'reports',
  key: (event: ReportWritten) => String(event.id),
})
class ReportWritten extends NotificationEvent {
  @IsInt() id!: number;
  @IsString() text!: string;
}

@IntegrationEvent({ name: 'reports.state', topic: 'reports', key: (event: ReportState) => event.id })
class ReportState extends ECSTEvent {
  id!: string;
}

const handled: ReportWritten[] = [];

@EventHandler(ReportWritten)
class ReadReport implements HandlesEvent<ReportWritten> {
  async handle(event: ReportWritten): Promise<void> {
    handled.push(event);
  }
}

const TEXT = 'once upon a time '.repeat(200);
/** Nothing in it occurs twice. */
const EVERY_CHARACTER = Array.from({ length: 90 }, (_, index) => String.fromCharCode(35 + index)).join('');
const gzip = new GzipCompressor();

for (const { name, needs } of DATABASES) {
  describeWith(needs, `compression on ${name}`, () => {
    let transport: RecordingTransport;
    let test: TestApp;

    const start = async (options: Partial<CqrsOutboxOptions>): Promise<void> => {
      transport = new RecordingTransport();
      test = await createTestApp({ database: name, options: { transport, ...options } });
    };
    const append = (event: ReportWritten, options?: AppendOptions) =>
      test.orm.em.fork().transactional(async () => test.app.get(Outbox).append(event, options));
    const rows = () =>
      test.orm.em
        .fork()
        .getConnection()
        .execute<{ headers: string; payload: Buffer }[]>(
          'select headers, payload from cqrs_outbox order by id',
        );
    afterEach(() => test.close());

    it('stores a payload compressed, and publishes it as it is stored', async () => {
      await start({ compression: { compressor: gzip } });
      await append(ReportWritten.of({ id: 1, text: TEXT }), { headers: { tenant: 'acme' } });
      const [row] = await rows();
      expect(JSON.parse(row?.headers ?? '')).toEqual({ tenant: 'acme', 'content-encoding': 'gzip' });
      await test.app.get(OutboxRelay).runOnce();
      const [message] = transport.published;
      expect(message).toMatchObject({ contentEncoding: 'gzip', headers: { tenant: 'acme' } });
      expect(message?.payload?.equals(Buffer.from(row?.payload as Buffer))).toBe(true);
      expect(message?.payload?.length).toBeLessThan(500);
      expect(published(transport)[0]?.payload).toEqual({ id: 1, text: TEXT });
    });

    it('stores what is small, what does not get smaller, and tombstones as they are', async () => {
      await start({ compression: { compressor: gzip, thresholdBytes: 100 } });
      await append(ReportWritten.of({ id: 1, text: 'x'.repeat(60) }));
      await append(ReportWritten.of({ id: 2, text: EVERY_CHARACTER }));
      await append(ReportWritten.of({ id: 3, text: 'x'.repeat(100) }));
      await test.orm.em
        .fork()
        .transactional(async () => test.app.get(Outbox).appendTombstone(ReportState, 'gone'));
      expect((await rows()).map(({ headers }) => headers)).toEqual([
        '{}',
        '{}',
        '{"content-encoding":"gzip"}',
        '{}',
      ]);
    });

    it('replays out of the archive what it has compressed', async () => {
      await start({
        compression: { compressor: new ZstdCompressor() },
        housekeeping: { archiveRetentionMs: 60_000 },
      });
      await append(ReportWritten.of({ id: 1, text: TEXT }));
      await test.app.get(OutboxRelay).runOnce();
      expect(await test.app.get(OutboxArchive).replay({})).toBe(1);
      await test.app.get(OutboxRelay).runOnce();
      const [first, again] = transport.published;
      expect(again?.contentEncoding).toBe('zstd');
      expect(again?.payload?.equals(first?.payload as Buffer)).toBe(true);
    });
  });
}

describe('what is compressed at append', () => {
  let test: TestApp;
  afterEach(() => test.close());
  const append = (text: string, options?: { headers: Record<string, string> }) =>
    test.orm.em
      .fork()
      .transactional(async () => test.app.get(Outbox).append(ReportWritten.of({ id: 1, text }), options));
  const start = async (options: Partial<CqrsOutboxOptions>): Promise<void> => {
    test = await createTestApp({
      database: 'libsql',
      options: { transport: new NullTransport(), ...options },
    });
  };

  it('counts for maxPayloadBytes as it is stored', async () => {
    await start({ maxPayloadBytes: 1_500, compression: { compressor: gzip } });
    await append(TEXT);
    const random = Array.from({ length: 100 }, () => randomUUID()).join();
    await expect(append(random)).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/over maxPayloadBytes \(1500\)/),
    });
  });

  it('is refused when no consumer with the same settings would read it', async () => {
    await start({ consumer: { maxDecompressedBytes: 2_000 }, compression: { compressor: gzip } });
    await expect(append(TEXT)).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/over consumer\.maxDecompressedBytes \(2000\)/),
    });
  });

  it('fails with a typed error when the compressor does', async () => {
    const compressor = new ReversingCompressor();
    await start({ compression: { compressor } });
    compressor.compress = () => {
      throw new Error('out of steam');
    };
    await expect(append(TEXT)).rejects.toMatchObject({
      code: 'PAYLOAD_NOT_SERIALIZABLE',
      message: "The payload of reports.written can't be compressed: out of steam.",
    });
  });

  it('leaves the header to the library, in any case', async () => {
    await start({});
    for (const header of ['content-encoding', 'Content-Encoding'])
      await expect(append('x', { headers: { [header]: 'gzip' } })).rejects.toMatchObject({
        code: 'EVENT_HEADER',
      });
  });
});

describe('a compressed message at the consumer', () => {
  let test: TestApp;
  let consumer: EventConsumer;
  const decompressors: Compressor[] = [new ReversingCompressor()];

  beforeEach(async () => {
    handled.length = 0;
    test = await createTestApp({
      database: 'libsql',
      options: {
        transport: new NullTransport(),
        consumer: { minBackoffMs: 1, maxBackoffMs: 1, maxDecompressedBytes: 100_000, decompressors },
      },
      providers: [ReadReport],
    });
    consumer = test.app.get(EventConsumer);
  });
  afterEach(() => test.close());

  const plain = Buffer.from(JSON.stringify({ id: 1, text: TEXT }));
  const headersWith = (contentEncoding: string) => ({
    ce_id: randomUUID(),
    ce_type: 'reports.written',
    'content-type': 'application/json',
    'content-encoding': contentEncoding,
  });
  const consume = (value: Buffer | null, contentEncoding: string) => {
    const headers = headersWith(contentEncoding);
    return consumer.consume('', new InMemoryContext([{ topic: 'reports', key: 'k', headers, value }]));
  };
  const letters = () =>
    test.orm.em
      .fork()
      .getConnection()
      .execute<{ reason: string; headers: string; payload: Buffer }[]>(
        'select * from cqrs_inbox_dead_letter',
      );

  it.each(BUILT_IN_COMPRESSORS.map((compressor) => [compressor.contentEncoding, compressor] as const))(
    'is read whatever is written now: %s',
    async (encoding, compressor) => {
      await consume(compressor.compress(plain), encoding);
      expect(handled).toEqual([{ id: 1, text: TEXT }]);
      expect(await letters()).toEqual([]);
    },
  );

  it("is read by the user's own compressor, by other cases and names of an encoding, and as none", async () => {
    await consume(new ReversingCompressor().compress(plain), 'x-reversed');
    await consume(gzip.compress(plain), ' GZip ');
    await consume(gzip.compress(plain), 'x-gzip');
    await consume(plain, 'identity');
    await consume(plain, '');
    expect(handled).toHaveLength(5);
    expect(await letters()).toEqual([]);
  });

  it('is read out of the packet of RabbitMQ and the envelope of others, where it is base64', async () => {
    const packed = gzip.compress(plain).toString('base64');
    const message = { content: Buffer.from(''), fields: {}, properties: { headers: headersWith('gzip') } };
    await consumer.consume(packed, new RmqContext([message, { ack: () => undefined }, 'reports']));
    const envelope = { id: randomUUID(), name: 'reports.written', contentEncoding: 'gzip', payload: packed };
    await consumer.consume(envelope, {});
    expect(handled).toHaveLength(2);
  });

  it('is a tombstone all the same without a payload', async () => {
    await consume(null, 'gzip');
    expect(await letters()).toEqual([]);
  });

  const half = gzip.compress(plain).subarray(0, 20);
  const tampered = gzip.compress(plain);
  tampered.writeUInt8(tampered.readUInt8(tampered.length - 1) ^ 1, tampered.length - 1);
  const rejected: [string, string, Buffer, RegExp][] = [
    [
      'has an unknown encoding',
      'rot13',
      plain,
      /content encoding "rot13" is unknown, known are deflate, gzip, br/,
    ],
    ['has an encoding of any length', 'x'.repeat(9_999), plain, /"x{64}" is unknown/],
    ['has several encodings', 'gzip, br', gzip.compress(plain), /several content encodings \("gzip, br"\)/],
    ['is truncated', 'gzip', half, /can't be decompressed \(gzip\): unexpected end of file/],
    ['is tampered with', 'gzip', tampered, /can't be decompressed \(gzip\): incorrect length check/],
    ['is not compressed', 'zstd', plain, /can't be decompressed \(zstd\)/],
    ['has no byte', 'br', Buffer.alloc(0), /can't be decompressed \(br\)/],
    [
      'is a bomb',
      'zstd',
      new ZstdCompressor().compress(Buffer.alloc(50_000_000)),
      /over consumer\.maxDecompressedBytes \(100000\)/,
    ],
    [
      'is a bomb that the compressor of the user lets burst',
      'x-reversed',
      Buffer.alloc(100_001, ' '),
      /over consumer\.maxDecompressedBytes/,
    ],
    ['holds no JSON', 'gzip', gzip.compress(Buffer.from('not json')), /payload can't be read/],
    ['holds another compressed one', 'gzip', gzip.compress(gzip.compress(plain)), /payload can't be read/],
  ];
  it.each(rejected)(
    'is set aside when it %s, and the next is handled',
    async (_, encoding, value, reason) => {
      await consume(value, encoding);
      const [letter, ...others] = await letters();
      expect(others).toEqual([]);
      expect(letter?.reason).toMatch(reason);
      expect(Buffer.from(letter?.payload as Buffer).equals(value)).toBe(true);
      expect(JSON.parse(letter?.headers ?? '')).toMatchObject({ 'content-encoding': encoding });
      await consume(gzip.compress(plain), 'gzip');
      expect(handled).toHaveLength(1);
    },
  );

  it("is not given up for what Nest's Kafka server has made of it", async () => {
    const value = gzip.compress(plain);
    const kafka = (given: unknown) =>
      new KafkaContext([
        { value: given, key: 'k', headers: headersWith('gzip'), offset: '7' },
        0,
        'reports',
      ] as never);
    const lost = consumer.consume('', kafka(value.toString()));
    const givenBack = expect(lost).rejects.toBeInstanceOf(KafkaRetriableException);
    await consumer.consume('', kafka(value));
    expect(handled).toHaveLength(1);
    expect(await letters()).toEqual([]);
    expect(consumer.counts).toMatchObject({ failedAttempts: 0, deadLettered: 0 });
    await consumer.onModuleDestroy();
    await givenBack;
  });
});

describe('the options of compression', () => {
  const faultsOf = async (options: object): Promise<readonly string[]> => {
    const module = await Test.createTestingModule({
      imports: [
        ScheduleModule.forRoot(),
        CqrsOutboxModule.forRoot({
          source: 'tests',
          store: InMemoryStore,
          transport: new NullTransport(),
          relay: false,
          ...options,
        }),
      ],
    })
      .setLogger(silentLogger)
      .compile();
    const app = module.createNestApplication();
    try {
      await app.init();
      return [];
    } catch (error) {
      return (error as { faults: readonly string[] }).faults;
    } finally {
      await app.close();
    }
  };
  const broken = (changes: object): Compressor => Object.assign(new ReversingCompressor(), changes);
  const cases: [object, string | RegExp][] = [
    [{ compression: 'gzip' }, /^compression must be an object/],
    [{ compression: {} }, /^compression\.compressor must be a Compressor/],
    [{ compression: { compressor: { contentEncoding: 'gzip' } } }, /compressor must be a Compressor/],
    [{ compression: { compressor: gzip, threshold: 1 } }, /compression\.threshold is no option/],
    [{ compression: { compressor: gzip, thresholdBytes: -1 } }, /thresholdBytes is -1/],
    [{ compression: { compressor: new GzipCompressor(10) } }, /the level of gzip is 10, but must be/],
    [{ compression: { compressor: broken({ contentEncoding: 'a, b' }) } }, /"a, b" is no name/],
    [{ compression: { compressor: broken({ contentEncoding: 'GZIP' }) } }, /"GZIP" is no name/],
    [{ compression: { compressor: broken({ contentEncoding: 'identity' }) } }, /"identity" is no name/],
    [{ compression: { compressor: broken({ compress: () => 'text' }) } }, /compress gives no Buffer/],
    [
      { compression: { compressor: broken({ decompress: () => Buffer.alloc(3) }) } },
      /does not give what was/,
    ],
    [{ consumer: { decompressors: [7] } }, /^consumer\.decompressors\[0\] must be a Compressor/],
    [{ consumer: { decompressors: 7 } }, /^consumer\.decompressors must be a list/],
    [{ consumer: { maxDecompressedBytes: 0 } }, /maxDecompressedBytes is 0/],
    [
      { consumer: { decompressors: [new ReversingCompressor(), new ReversingCompressor()] } },
      'consumer.decompressors: two compressors have the contentEncoding x-reversed',
    ],
    [
      { compression: { compressor: gzip }, consumer: { decompressors: [new GzipCompressor(1)] } },
      'consumer.decompressors: two compressors have the contentEncoding gzip',
    ],
  ];
  it.each(cases)('stop the boot when they are wrong: %#', async (options, fault) => {
    const faults = await faultsOf(options);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
  });

  it('take the one compressor for writing and reading', async () => {
    const own = new ReversingCompressor();
    expect(await faultsOf({ compression: { compressor: own }, consumer: { decompressors: [own] } })).toEqual(
      [],
    );
  });
});
