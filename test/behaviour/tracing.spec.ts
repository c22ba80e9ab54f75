import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  EventConsumer,
  EventEmitter,
  EventHandler,
  InMemoryContext,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  OutboxStore,
  Query,
  QueryHandler,
  RequestMediator,
  type CqrsOutboxOptions,
  type HandlesEvent,
  type PublishResult,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { RecordingTransport } from '@cqrs-outbox/testing';
import { createTraceState, ROOT_CONTEXT, context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import { IsInt } from 'class-validator';
import { createTestApp, type TestApp } from '../support/app.ts';
import { Audited } from '../support/audited.ts';
import { eventually } from '../support/eventually.ts';
import { RecordedSpans } from '../support/recorded-spans.ts';

@IntegrationEvent({ name: 'traces.left', topic: 'traces', key: (event: TraceLeft) => event.key })
class TraceLeft extends NotificationEvent {
  key: string = 'k';
  @IsInt() number: number = 0;
}

class Leave extends Command {
  fails: boolean = false;
}

@CommandHandler(Leave)
class LeaveHandler implements RequestHandler<Leave> {
  constructor(private readonly outbox: Outbox) {}

  async execute({ fails }: Leave): Promise<void> {
    this.outbox.append(TraceLeft.of({ key: 'k', number: 1 }));
    if (fails) throw new RangeError('a secret');
  }
}

class Ask extends Query<string> {}

@QueryHandler(Ask)
class AskHandler implements RequestHandler<Ask> {
  async execute(): Promise<string> {
    return trace.getActiveSpan()?.spanContext().spanId ?? 'none';
  }
}

@EventHandler(TraceLeft)
class FollowTrace implements HandlesEvent<TraceLeft> {
  async handle(): Promise<void> {}
}

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;

describe('tracing', () => {
  let spans: RecordedSpans | undefined;
  let transport: RecordingTransport;
  let test: TestApp;

  const start = async (options: Partial<CqrsOutboxOptions> = {}): Promise<void> => {
    transport = new RecordingTransport();
    test = await createTestApp({
      database: 'libsql',
      options: { transport, ...options },
      providers: [LeaveHandler, AskHandler, FollowTrace],
    });
  };
  const recorded = (): RecordedSpans => (spans ??= RecordedSpans.start());
  beforeEach(() => {
    spans = undefined;
  });
  afterEach(async () => {
    await test.close();
    spans?.stop();
  });

  const append = (...events: TraceLeft[]) =>
    test.orm.em.fork().transactional(async () => {
      for (const event of events) test.app.get(Outbox).append(event);
    });
  const storedHeaders = async () => {
    const rows = await test.orm.em
      .fork()
      .getConnection()
      .execute<{ headers: string }[]>('select headers from cqrs_outbox order by id');
    return rows.map(({ headers }) => JSON.parse(headers) as Record<string, string>);
  };
  const consume = (headers: Record<string, string>, value = '{"key":"k","number":1}') =>
    test.app.get(EventConsumer).consume(
      '',
      new InMemoryContext([
        {
          topic: 'traces',
          key: 'k',
          headers: { ce_id: randomUUID(), ce_type: 'traces.left', ...headers },
          value: Buffer.from(value),
        },
      ]),
    );

  describe('without an SDK', () => {
    it('stores and sends no trace, and publishes as ever', async () => {
      await start();
      await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
      expect(await storedHeaders()).toEqual([{}]);
      expect(await test.app.get(OutboxRelay).runOnce()).toMatchObject({ default: { published: 1 } });
      expect(transport.published[0]?.headers).toEqual({});
      await consume({ traceparent: TRACEPARENT });
    });

    it('looks at no message of a batch', async () => {
      await start();
      const headers = Object.defineProperty({}, 'traceparent', {
        get: () => {
          throw new Error('looked at');
        },
      });
      await append(TraceLeft.of({ key: 'k', number: 1 }));
      const store = test.app.get(OutboxStore);
      const fetch = store.fetch.bind(store);
      store.fetch = async (selection) => {
        const fetched = await fetch(selection);
        return { ...fetched, entries: fetched.entries.map((entry) => ({ ...entry, headers })) };
      };
      await test.app.get(OutboxRelay).runOnce();
      expect(transport.published).toHaveLength(1);
    });

    it('begins when one is registered after the boot', async () => {
      await start();
      recorded();
      await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
      expect(await storedHeaders()).toEqual([{ traceparent: expect.any(String) }]);
    });
  });

  it('is off where the application says so', async () => {
    recorded();
    await start({ tracing: false });
    await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
    await test.app.get(OutboxRelay).runOnce();
    await consume({ traceparent: TRACEPARENT });
    expect(transport.published[0]?.headers).toEqual({});
    expect(recorded().all).toEqual([]);
  });

  it('takes true or false', async () => {
    await expect(
      createTestApp({
        database: 'libsql',
        options: { transport: new RecordingTransport(), tracing: 'no' as never },
      }),
    ).rejects.toThrow(/tracing must be true or false/);
    await start();
  });

  it('stores the span of the append, with the state of its trace, and sends it on', async () => {
    recorded();
    await start();
    const parent = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: TRACE_ID,
      spanId: SPAN_ID,
      traceFlags: 1,
      traceState: createTraceState('vendor=1,other=2'),
    });
    await context.with(parent, () => test.app.get(RequestMediator).send(Leave.of({ fails: false })));
    const [create] = recorded().named('create traces');
    const traceparent = `00-${TRACE_ID}-${create?.spanContext().spanId}-01`;
    const headers = { traceparent, tracestate: 'vendor=1,other=2' };
    expect(await storedHeaders()).toEqual([headers]);
    await test.app.get(OutboxRelay).runOnce();
    expect(transport.published[0]?.headers).toEqual(headers);
    expect(recorded().pathsOf(TRACE_ID)).toEqual([
      '? > send Leave',
      '? > send Leave > create traces',
      '? > send Leave > create traces > send traces',
    ]);
    await consume(headers);
    expect(recorded().named('process traces')[0]?.spanContext().traceState?.serialize()).toBe(
      'vendor=1,other=2',
    );
  });

  it('leaves its headers to the library, in any case', async () => {
    await start();
    for (const header of ['traceparent', 'Tracestate']) {
      const appended = test.orm.em
        .fork()
        .transactional(async () =>
          test.app
            .get(Outbox)
            .append(TraceLeft.of({ key: 'k', number: 1 }), { headers: { [header]: 'mine' } }),
        );
      await expect(appended).rejects.toMatchObject({ code: 'EVENT_HEADER' });
    }
  });

  it('hands on that a trace is not sampled', async () => {
    spans = RecordedSpans.start(new ParentBasedSampler({ root: new AlwaysOffSampler() }));
    await start();
    await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
    const [headers] = await storedHeaders();
    expect(headers?.['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    await test.app.get(OutboxRelay).runOnce();
    await consume(headers ?? {});
    expect(spans.all).toEqual([]);
  });

  it('marks requests that failed by the class of the error alone', async () => {
    recorded();
    await start();
    const requests = test.app.get(RequestMediator);
    await expect(requests.send(Leave.of({ fails: true }))).rejects.toThrow('a secret');
    const spanId = await requests.send(Ask.of());
    const [leave, ask] = [...recorded().named('send Leave'), ...recorded().named('send Ask')];
    expect(leave).toMatchObject({
      kind: SpanKind.INTERNAL,
      status: { code: SpanStatusCode.ERROR, message: 'RangeError' },
      attributes: { 'error.type': 'RangeError' },
      events: [],
    });
    expect(ask?.status.code).toBe(SpanStatusCode.UNSET);
    expect(spanId).toBe(ask?.spanContext().spanId);
  });

  it('shows each try to publish a message, and none for what was held back', async () => {
    recorded();
    await start({ relay: { minBackoffMs: 1, maxBackoffMs: 1, cron: '0 0 1 1 *' } });
    transport.refuse({ key: 'k', times: 1 });
    const [relay, events] = [
      test.app.get(OutboxRelay),
      [1, 2].map((number) => TraceLeft.of({ key: 'k', number })),
    ];
    await append(...events, TraceLeft.of({ key: 'other', number: 3 }));
    await eventually(async () => {
      await relay.runOnce();
      expect(transport.published).toHaveLength(3);
    });
    const sends = recorded().named('send traces');
    expect(sends).toHaveLength(4);
    const creates = recorded()
      .named('create traces')
      .map((span) => span.spanContext());
    const sendsOf = (index: number) =>
      sends.filter((span) => span.parentSpanContext?.spanId === creates[index]?.spanId);
    expect(sendsOf(0).map(({ attributes }) => attributes['cqrs_outbox.attempt'])).toEqual([1, 2]);
    expect(sendsOf(0).map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET]);
    expect(sendsOf(0)[0]?.attributes).toMatchObject({
      'cqrs_outbox.result': 'refused',
      'error.type': 'Error',
      'messaging.batch.message_count': 3,
    });
    expect(sendsOf(1)).toHaveLength(1);
    expect(sendsOf(2)).toHaveLength(1);
  });

  it('shows what a transport that breaks its contract was given', async () => {
    recorded();
    await start();
    transport.publish = async (): Promise<PublishResult[]> => {
      throw new TypeError('broken');
    };
    await append(TraceLeft.of({ key: 'k', number: 1 }));
    await expect(test.app.get(OutboxRelay).runOnce()).rejects.toThrow('broken');
    expect(recorded().named('send traces')[0]?.attributes).toMatchObject({
      'error.type': 'TypeError',
      'cqrs_outbox.result': 'unavailable',
    });
  });

  it('keeps the relay out of the trace of the command that wakes it', async () => {
    recorded();
    const active: unknown[] = [];
    await start({ relay: { cron: '0 0 1 1 *' } });
    const publish = transport.publish.bind(transport);
    transport.publish = (...args) => {
      active.push(trace.getActiveSpan());
      return publish(...args);
    };
    // The first one may have to wait for the leases.
    for (const times of [1, 2]) {
      await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
      await eventually(() => expect(transport.published).toHaveLength(times));
    }
    expect(active).toEqual([undefined, undefined]);
  });

  it('changes nothing of the work when the SDK throws, wherever that is', async () => {
    recorded();
    const [failing, handled] = [{ in: '' }, [] as string[]];
    const failIn = (step: string): void => {
      if (failing.in === step) throw new Error('the SDK is broken');
    };
    const real = trace.getTracer('real');
    trace.disable();
    trace.setGlobalTracerProvider({
      getTracer: () => {
        failIn('getTracer');
        return {
          startActiveSpan: real.startActiveSpan.bind(real),
          startSpan: (...args) => {
            failIn('startSpan');
            const span = real.startSpan(...args);
            const end = span.end.bind(span);
            span.end = (time) => {
              end(time);
              failIn('end');
            };
            return span;
          },
        };
      },
    });
    await start();
    for (failing.in of ['nothing', 'getTracer', 'startSpan', 'end']) {
      await test.app.get(RequestMediator).send(Leave.of({ fails: false }));
      expect(await test.app.get(OutboxRelay).runOnce()).toMatchObject({ default: { published: 1 } });
      await consume({ traceparent: TRACEPARENT });
      handled.push(failing.in);
    }
    expect(handled).toHaveLength(4);
  });

  it('has one creation for an event with two destinations, and a sending for each', async () => {
    recorded();
    await start({ transport: { default: new RecordingTransport(), audit: new RecordingTransport() } });
    await test.orm.em.fork().transactional(async () => test.app.get(Outbox).append(Audited.of({ step: 1 })));
    await test.app.get(OutboxRelay).runOnce();
    const [create, ...others] = recorded().named('create orders');
    expect(others).toEqual([]);
    const sends = recorded().named('send orders');
    expect(sends.map((span) => span.parentSpanContext?.spanId)).toEqual([
      create?.spanContext().spanId,
      create?.spanContext().spanId,
    ]);
  });

  it('shows what is emitted past the outbox', async () => {
    recorded();
    await start();
    await test.app.get(EventEmitter).emit(TraceLeft.of({ key: 'k', number: 1 }));
    const [create] = recorded().named('create traces');
    const traceId = create?.spanContext().traceId ?? '';
    expect(recorded().pathsOf(traceId)).toEqual(['create traces', 'create traces > send traces']);
    expect(recorded().named('send traces')[0]?.attributes['cqrs_outbox.attempt']).toBeUndefined();
  });

  describe('of a received message', () => {
    const accepted: [string, string][] = [
      ['as it is', TRACEPARENT],
      ['not sampled', `00-${TRACE_ID}-${SPAN_ID}-00`],
      ['with flags that are not known', `00-${TRACE_ID}-${SPAN_ID}-ff`],
      ['of a later version', `01-${TRACE_ID}-${SPAN_ID}-01-and-more`],
    ];
    it.each(accepted)('is continued: %s', async (_, traceparent) => {
      spans = RecordedSpans.start(new AlwaysOnSampler());
      await start();
      await consume({ traceparent });
      const [process] = spans.named('process traces');
      expect(process?.parentSpanContext).toMatchObject({
        traceId: TRACE_ID,
        spanId: SPAN_ID,
        isRemote: true,
      });
      expect(process?.parentSpanContext?.traceFlags).toBe(traceparent.endsWith('-00') ? 0 : 1);
      expect(spans.pathsOf(TRACE_ID)).toEqual([
        '? > process traces',
        '? > process traces > handle FollowTrace',
      ]);
    });

    const hostile: [string, string][] = [
      ['empty', ''],
      ['no trace', 'x'],
      ['zeros for a trace', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
      ['zeros for a span', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
      ['the version ff', `ff-${TRACE_ID}-${SPAN_ID}-01`],
      ['upper case', TRACEPARENT.toUpperCase()],
      ['more than its version has', `${TRACEPARENT}-more`],
      ['a line more', `${TRACEPARENT}\n`],
      ['too short', TRACEPARENT.slice(0, -1)],
      ['too long', `01-${TRACE_ID}-${SPAN_ID}-01-${'x'.repeat(100_000)}`],
      ['two of them', `${TRACEPARENT},${TRACEPARENT}`],
    ];
    it.each(hostile)('is begun anew when the header is hostile: %s', async (_, traceparent) => {
      recorded();
      await start();
      await consume({ traceparent, tracestate: 'a=1' });
      const [process] = recorded().named('process traces');
      expect(process?.parentSpanContext).toBeUndefined();
      expect(process?.spanContext().traceState).toBeUndefined();
    });

    it.each(['x'.repeat(513), '\0\0\0', '=,=,=', 'a=1,'.repeat(120)])(
      'takes no hostile state: %#',
      async (tracestate) => {
        recorded();
        await start();
        await consume({ traceparent: TRACEPARENT, tracestate });
        const state = recorded().named('process traces')[0]?.spanContext().traceState?.serialize() ?? '';
        expect(state === '' || /^a=1$/.test(state)).toBe(true);
      },
    );

    it('is linked with the span around it', async () => {
      recorded();
      await start();
      await trace.getTracer('kafkajs').startActiveSpan('poll', async (poll) => {
        await consume({ traceparent: TRACEPARENT });
        await consume({});
        poll.end();
      });
      const [poll] = recorded().named('poll');
      const [continued, nested] = recorded().named('process traces');
      expect(continued?.links.map((link) => link.context)).toEqual([poll?.spanContext()]);
      expect(nested?.parentSpanContext?.spanId).toBe(poll?.spanContext().spanId);
      expect(nested?.links).toEqual([]);
    });

    it('says that it was set aside, and not what for', async () => {
      recorded();
      await start();
      await consume({ traceparent: TRACEPARENT }, 'a secret');
      expect(recorded().named('process traces')[0]).toMatchObject({
        status: { code: SpanStatusCode.ERROR, message: 'MESSAGE_REJECTED' },
        attributes: { 'error.type': 'MESSAGE_REJECTED' },
      });
    });

    it('has no more of a hostile message than fits', async () => {
      recorded();
      await start();
      await consume({ ce_id: 'x'.repeat(100_000), ce_correlationid: 'y'.repeat(100_000) });
      const attributes = JSON.stringify(recorded().named('process traces')[0]?.attributes);
      expect(attributes.length).toBeLessThan(2_000);
    });
  });
});
