import { Logger } from '@nestjs/common';
import type { Context, Link, Span, SpanOptions, Tracer } from '@opentelemetry/api';
import type { ReceivedMessage } from '../consumers/received-message.js';
import { messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { Message } from '../messages/message.js';
import type { PublishResult } from '../transports/transport.js';
import { messageAttributes, receivedAttributes, spanName } from './messaging-attributes.js';
import { activeTracer, loadOtelApi, type OtelApi } from './otel-api.js';
import { recordSends } from './send-spans.js';
import { markFailed } from './span-status.js';
import { fromTraceHeaders, toTraceHeaders } from './trace-context.js';

/** The API, and the tracer of the SDK that is registered now. */
interface ActiveTracing {
  readonly api: typeof OtelApi;
  readonly tracer: Tracer;
}

/**
 * Makes one trace of a command, the messages that it appends, their way through outbox and broker, and what is done where
 * they arrive:
 *
 *   send CloseMeeting                     a command or query
 *     create meetings                     an event is appended: this context is stored with the entry
 *       send meetings                     it was given to the broker, once for each try
 *       process meetings                  it was received, once for each try
 *         handle NotifyParticipants       a handler; its own spans, and the commands that it sends, are below it
 *
 * Where the application has no OpenTelemetry API, has registered no SDK, or says `tracing: false`, each method does the
 * work that it is given and nothing else. An SDK that throws changes nothing of what becomes of the work.
 */
export class Tracing {
  readonly #logger = new Logger('CqrsOutbox');
  #api: typeof OtelApi | undefined;
  #hasFailed = false;

  constructor(private readonly options: ResolvedOptions) {}

  /** Looks for the API, once, at boot. It does not reject: an application works without traces too. */
  async load(): Promise<void> {
    if (!this.options.tracing) return;
    try {
      this.#api = await loadOtelApi();
    } catch (error) {
      const why = messageOf(error);
      this.#logger.warn(`There will be no traces, @opentelemetry/api can't be loaded: ${why}`);
    }
  }

  /** Around a command or query. */
  request<T>(requestName: string, work: () => Promise<T>): Promise<T> {
    const active = this.active();
    return active ? this.around(active, () => begin(active, `send ${requestName}`), work) : work();
  }

  /** Around one handler of a received event. */
  handler<T>(handlerName: string, work: () => Promise<T>): Promise<T> {
    const active = this.active();
    return active ? this.around(active, () => begin(active, `handle ${handlerName}`), work) : work();
  }

  /** At `append`. @returns the headers by which the trace goes on where the message is handled */
  created(
    message: Pick<Message, 'id' | 'topic' | 'correlationId' | 'payload'>,
    systemOf: () => string,
  ): Record<string, string> {
    const active = this.active();
    if (!active) return {};
    const headers = this.attempt(() => {
      const { api, tracer } = active;
      const attributes = messageAttributes('create', systemOf(), message);
      const name = spanName('create', message.topic);
      const span = tracer.startSpan(name, { kind: api.SpanKind.PRODUCER, attributes });
      span.end();
      const spanContext = span.spanContext();
      return api.isSpanContextValid(spanContext) ? toTraceHeaders(spanContext) : {};
    });
    return headers ?? {};
  }

  /** Around the publishing of a batch; what comes of it is that of `publish`. */
  async publishing(
    system: string,
    messages: readonly Message[],
    publish: () => Promise<PublishResult[]>,
  ): Promise<PublishResult[]> {
    const active = this.active();
    if (!active) return publish();
    const startedAt = Date.now();
    const record = (results: readonly PublishResult[]): void => {
      this.attempt(() => recordSends(active.api, active.tracer, { system, messages, results, startedAt }));
    };
    try {
      const results = await publish();
      record(results);
      return results;
    } catch (error) {
      record(messages.map(() => ({ status: 'unavailable', error })));
      throw error;
    }
  }

  /** Around the handling of a message, in the trace that it was created in. */
  processing<T>(message: ReceivedMessage, work: () => Promise<T>): Promise<T> {
    const active = this.active();
    return active ? this.around(active, () => beginProcessing(active, message), work) : work();
  }

  /** Runs `work` inside of a span, or without one if it can't be begun. */
  private async around<T>(
    { api }: ActiveTracing,
    start: () => BegunSpan,
    work: () => Promise<T>,
  ): Promise<T> {
    const begun = this.attempt(start);
    if (!begun) return work();
    const { span, context } = begun;
    try {
      return await api.context.with(context, work);
    } catch (error) {
      this.attempt(() => markFailed(api, span, error));
      throw error;
    } finally {
      this.attempt(() => span.end());
    }
  }

  /** Asked each time: an SDK may be registered after the boot. */
  private active(): ActiveTracing | undefined {
    const api = this.#api;
    const tracer = api && this.attempt(() => activeTracer(api));
    return tracer && { api, tracer };
  }

  /** A fault of an SDK must not make a failure of what it was to show. It is logged once: there may be one for each span. */
  private attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!this.#hasFailed) this.#logger.warn(`The OpenTelemetry SDK has failed: ${messageOf(error)}`);
      this.#hasFailed = true;
      return undefined;
    }
  }
}

/** A span, and the context in which it is the active one. */
interface BegunSpan {
  readonly span: Span;
  readonly context: Context;
}

function begin(
  { api, tracer }: ActiveTracing,
  name: string,
  options: SpanOptions = {},
  parent: Context = api.context.active(),
): BegunSpan {
  const span = tracer.startSpan(name, options, parent);
  return { span, context: api.trace.setSpan(parent, span) };
}

function beginProcessing(active: ActiveTracing, message: ReceivedMessage): BegunSpan {
  const { api } = active;
  const around = api.context.active();
  const creation = fromTraceHeaders(api, message.headers);
  // Of another instrumentation, which has seen the same message.
  const surrounding = api.trace.getSpanContext(around);
  const links: Link[] = creation && surrounding ? [{ context: surrounding }] : [];
  const options = { kind: api.SpanKind.CONSUMER, attributes: receivedAttributes(message), links };
  const parent = creation ? api.trace.setSpanContext(around, creation) : around;
  return begin(active, spanName('process', message.topic), options, parent);
}
