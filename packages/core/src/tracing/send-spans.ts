import type { Tracer } from '@opentelemetry/api';
import type { Message } from '../messages/message.js';
import type { PublishResult } from '../transports/transport.js';
import { messageAttributes, spanName } from './messaging-attributes.js';
import type { OtelApi } from './otel-api.js';
import { markFailed } from './span-status.js';
import { fromTraceHeaders } from './trace-context.js';

/** A batch that was given to a transport, and what became of each message. */
export interface SentBatch {
  readonly system: string;
  readonly messages: readonly Message[];
  readonly results: readonly PublishResult[];
  /** In milliseconds since 1970. */
  readonly startedAt: number;
}

/**
 * Makes a span for each message that was sent, in the trace that it was created in: a batch has messages of many. What was
 * held back was not sent, and what was created without a trace has none that it could be shown in.
 */
export function recordSends(api: typeof OtelApi, tracer: Tracer, batch: SentBatch): void {
  const { system, messages, results, startedAt } = batch;
  const endedAt = Date.now();
  for (const [index, message] of messages.entries()) {
    const result = results[index];
    const parent = fromTraceHeaders(api, message.headers);
    if (!parent || !result || result.status === 'held') continue;
    const span = tracer.startSpan(
      spanName('send', message.topic),
      {
        kind: api.SpanKind.CLIENT,
        startTime: startedAt,
        attributes: {
          ...messageAttributes('send', system, message),
          'messaging.batch.message_count': messages.length > 1 ? messages.length : undefined,
          'cqrs_outbox.attempt': attemptOf(message),
        },
      },
      api.trace.setSpanContext(api.ROOT_CONTEXT, parent),
    );
    if (result.status !== 'published') {
      markFailed(api, span, result.error);
      span.setAttribute('cqrs_outbox.result', result.status);
    }
    span.end(endedAt);
  }
}

/** The how many-eth try it was to publish an entry; undefined for a message that is no entry. */
function attemptOf(message: Message): number | undefined {
  return 'attempts' in message && typeof message.attempts === 'number' ? message.attempts + 1 : undefined;
}
