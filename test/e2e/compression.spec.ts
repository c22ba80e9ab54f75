import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  BUILT_IN_COMPRESSORS,
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  type Compressor,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { IsString } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { BROKERS, createBroker, type Broker } from '../support/brokers.ts';
import { eventually } from '../support/eventually.ts';
import { ReversingCompressor } from '../support/reversing-compressor.ts';

const TEXT = '{"ü": "\u{1F600}\u2028"} '.repeat(500);

function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.written`, topic, key: () => 'one key' })
  class Written extends NotificationEvent {
    @IsString() text!: string;
  }

  const handled: { text: string; context: MessageContext }[] = [];

  @EventHandler(Written)
  class ReadWritten implements HandlesEvent<Written> {
    async handle({ text }: Written, context: MessageContext): Promise<void> {
      handled.push({ text, context });
    }
  }

  @Controller()
  class WrittenController {
    constructor(private readonly consumer: EventConsumer) {}

    @EventPattern(topic)
    on(@Payload() payload: unknown, @Ctx() context: unknown) {
      return this.consumer.consume(payload, context);
    }
  }

  const controllers: Type[] = [WrittenController];
  return { Written, handled, providers: [ReadWritten], controllers };
}

for (const { name, needs } of BROKERS) {
  describeWith(needs, `compressed messages on ${name}`, () => {
    const topic = `compressed${randomUUID().slice(0, 8)}`;
    const domain = createDomain(topic);
    const own = new ReversingCompressor();
    let broker: Broker;
    let reader: TestApp;

    beforeAll(async () => {
      broker = await createBroker(name, topic);
      reader = await createTestApp({
        database: 'libsql',
        options: {
          transport: broker.transport,
          consumer: { minBackoffMs: 50, maxBackoffMs: 50, decompressors: [own] },
        },
        providers: domain.providers,
        controllers: domain.controllers,
        servers: [broker.server],
      });
    }, 60_000);
    afterAll(async () => {
      await reader.close();
      await broker.cleanUp();
    }, 60_000);

    /** By an application of its own. */
    const publish = async (text: string, compressor: Compressor): Promise<void> => {
      const writer = await createTestApp({
        database: 'libsql',
        options: { transport: broker.transport, compression: { compressor } },
      });
      const outbox = writer.app.get(Outbox);
      await writer.orm.em.fork().transactional(async () => outbox.append(domain.Written.of({ text })));
      const { default: report } = await writer.app.get(OutboxRelay).runOnce();
      expect(report?.published).toBe(1);
      await writer.close();
    };

    it.each(
      [...BUILT_IN_COMPRESSORS, own].map((compressor) => [compressor.contentEncoding, compressor] as const),
    )(
      'arrive as they were written, by a reader that compresses nothing: %s',
      async (_, compressor) => {
        domain.handled.length = 0;
        await publish(TEXT, compressor);
        await eventually(() => expect(domain.handled).toHaveLength(1), 30_000);
        expect(domain.handled[0]?.text).toBe(TEXT);
        // It is no header of the user's.
        expect(domain.handled[0]?.context.headers).toEqual({});
      },
      60_000,
    );

    it('are set aside when their encoding is unknown, and what follows is handled', async () => {
      domain.handled.length = 0;
      const [gzip] = BUILT_IN_COMPRESSORS.filter(({ contentEncoding }) => contentEncoding === 'gzip');
      const broken = Object.assign(new ReversingCompressor(), { contentEncoding: 'x-unknown' });
      await publish(TEXT, broken);
      await publish('short and plain', gzip as Compressor);
      await eventually(
        () => expect(domain.handled.map(({ text }) => text)).toEqual(['short and plain']),
        30_000,
      );
      const letters = await reader.orm.em
        .fork()
        .getConnection()
        .execute<{ reason: string; payload: Buffer }[]>('select reason, payload from cqrs_inbox_dead_letter');
      expect(letters).toHaveLength(1);
      expect(letters[0]?.reason).toMatch(/content encoding "x-unknown" is unknown/);
      const sent = own.compress(Buffer.from(JSON.stringify({ text: TEXT })));
      expect(Buffer.from(letters[0]?.payload as Buffer).equals(sent)).toBe(true);
    }, 60_000);
  });
}
