import {
  bigIntCodec,
  classCodec,
  ECSTEvent,
  Encoded,
  EventHandler,
  IntegrationEvent,
  mapCodec,
  NotificationEvent,
  nullableCodec,
  stringCodec,
  CqrsOutboxModule,
} from '@cqrs-outbox/core';
import { describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { type as ark } from 'arktype';
import { Type } from 'class-transformer';
import { IsDate, IsIn, IsInt, IsOptional, IsString, Min, ValidateNested } from 'class-validator';
import * as v from 'valibot';
import { z } from 'zod';
import { contractText, eventContract, InMemoryStore, RecordingTransport } from './index.js';

class Part {
  @IsString() label!: string;
  @Type(() => Part) @ValidateNested() @IsOptional() inner?: Part;
}

class Line {
  @IsInt() @Min(1) quantity!: number;
  @Encoded(bigIntCodec) price!: bigint;
  @Type(() => Part) @ValidateNested({ each: true }) parts!: Part[];
}

const upcasters = { 2: (payload: object) => payload };

@IntegrationEvent({ name: 'bills.sent', version: 3, topic: 'bills', upcasters })
class BillSent extends NotificationEvent {
  @IsString() zone!: string;
  @IsIn(['EUR', 'USD']) currency!: string;
  @IsDate() @Type(() => Date) at!: Date;
  @Encoded(nullableCodec(bigIntCodec)) total!: bigint | null;
  @Encoded(bigIntCodec) @IsOptional() discount?: bigint;
  @Encoded(
    mapCodec(
      stringCodec,
      classCodec(() => Line),
    ),
  )
  byId!: Map<string, Line>;
  @Type(() => Line) @ValidateNested({ each: true }) lines!: Line[];
  @IsOptional() @IsString() note?: string;
}

@IntegrationEvent({
  name: 'bills.paid',
  topic: 'payments',
  schema: z.object({ by: z.string(), at: z.coerce.date(), note: z.string().default('') }),
})
class BillPaid extends ECSTEvent {
  by!: string;
  at!: Date;
  note!: string;
}

@IntegrationEvent({
  name: 'bills.ark',
  topic: 'bills',
  schema: ark({ id: 'number.integer', 'note?': 'string' }),
})
class WithArk extends NotificationEvent {
  id!: number;
  note?: string;
}

@IntegrationEvent({ name: 'bills.valibot', topic: 'bills', schema: v.object({ id: v.number() }) })
class WithValibot extends NotificationEvent {
  id!: number;
}

@IntegrationEvent({ name: 'bills.bare', topic: 'bills' })
class Bare extends NotificationEvent {}

const ZOD = { libraryOptions: { unrepresentable: 'any' } };

describe('the contract of an event class', () => {
  it('has its rules, its codecs and its nested classes', async () => {
    const bigint = { type: 'string', pattern: '^-?\\d+$' };
    const lines = { type: 'array', items: { $ref: '#/$defs/Line' } };
    expect(await eventContract([BillSent])).toEqual([
      {
        name: 'bills.sent',
        version: 3,
        oldestVersion: 2,
        topic: 'bills',
        payload: {
          type: 'object',
          properties: {
            zone: { type: 'string' },
            currency: { type: 'string', enum: ['EUR', 'USD'] },
            at: { type: 'string', format: 'date-time' },
            total: { anyOf: [bigint, { type: 'null' }] },
            discount: bigint,
            byId: {
              type: 'array',
              items: {
                type: 'array',
                prefixItems: [{ type: 'string' }, { $ref: '#/$defs/Line' }],
                minItems: 2,
                maxItems: 2,
              },
            },
            lines,
            note: { type: 'string' },
          },
          required: ['at', 'byId', 'currency', 'lines', 'total', 'zone'],
          $defs: {
            Line: {
              type: 'object',
              properties: {
                quantity: { type: 'integer', minimum: 1 },
                price: bigint,
                parts: { type: 'array', items: { $ref: '#/$defs/Part' } },
              },
              required: ['parts', 'price', 'quantity'],
            },
            Part: {
              type: 'object',
              properties: { label: { type: 'string' }, inner: { $ref: '#/$defs/Part' } },
              required: ['label'],
            },
          },
        },
      },
    ]);
  });

  it("has what its schema takes, by the schema's own conversion", async () => {
    const [withArk, paid] = await eventContract([WithArk, BillPaid], ZOD);
    expect(withArk?.payload).toEqual({
      type: 'object',
      properties: { id: { type: 'integer' }, note: { type: 'string' } },
      required: ['id'],
    });
    expect(paid?.payload).toEqual({
      type: 'object',
      properties: { at: {}, by: { type: 'string' }, note: { type: 'string', default: '' } },
      required: ['by', 'at'],
    });
  });

  it('has what a converter says for a schema that does not say it, and names the event without one', async () => {
    await expect(eventContract([WithValibot])).rejects.toThrow(
      /The contract of bills\.valibot can't be made: its schema \(valibot\).+convertSchema/,
    );
    const convertSchema = (_: unknown, name: string) =>
      name === 'bills.valibot' ? { type: 'object', title: name } : undefined;
    const [withArk, withValibot] = await eventContract([WithValibot, WithArk], { convertSchema });
    expect(withValibot?.payload).toEqual({ type: 'object', title: 'bills.valibot' });
    expect(withArk?.payload['required']).toEqual(['id']);
    await expect(eventContract([BillPaid])).rejects.toThrow(/bills\.paid can't be made: Date/);
  });

  it('keeps classes of the same name apart', async () => {
    const other = (() => {
      class Part {
        @IsInt() weight!: number;
      }
      return Part;
    })();
    @IntegrationEvent({ name: 'bills.twins', topic: 'bills' })
    class Twins extends NotificationEvent {
      @Type(() => Part) @ValidateNested() one!: Part;
      @Type(() => other) @ValidateNested() two!: object;
    }
    const [twins] = await eventContract([Twins]);
    expect(twins?.payload).toMatchObject({
      properties: { one: { $ref: '#/$defs/Part' }, two: { $ref: '#/$defs/Part2' } },
      $defs: { Part: { required: ['label'] }, Part2: { required: ['weight'] } },
    });
  });

  it('is an object for a class without rules, and none for a class that is no event', async () => {
    expect((await eventContract([Bare]))[0]?.payload).toEqual({ type: 'object', properties: {} });
    await expect(eventContract([Line])).rejects.toThrow(/Line has no @IntegrationEvent/);
  });
});

describe('the contract of an application', () => {
  it('has the events with handlers and those of its options, by name', async () => {
    @EventHandler(BillSent)
    class Receive {
      handle(): void {}
    }
    const module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({
          source: 'test',
          store: InMemoryStore,
          transport: new RecordingTransport(),
          relay: false,
          events: [WithArk, BillPaid],
        }),
      ],
      providers: [Receive],
    }).compile();
    await module.init();
    const contract = await eventContract(module, ZOD);
    expect(contract.map(({ name, version, topic }) => [name, version, topic])).toEqual([
      ['bills.ark', 1, 'bills'],
      ['bills.paid', 1, 'payments'],
      ['bills.sent', 3, 'bills'],
    ]);
    await module.close();
  });

  it('is the same text whatever the order of classes and properties', async () => {
    const one = contractText(await eventContract([BillSent, WithArk]));
    const two = contractText(await eventContract([WithArk, BillSent]));
    expect(two).toBe(one);
    expect(one.indexOf('"currency"')).toBeLessThan(one.indexOf('"zone"'));
    expect(one.endsWith(']\n')).toBe(true);
    expect(JSON.parse(one)).toEqual(await eventContract([BillSent, WithArk]));
  });
});
