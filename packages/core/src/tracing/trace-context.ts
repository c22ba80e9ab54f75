import type { SpanContext } from '@opentelemetry/api';
import { WIRE_HEADERS } from '../messages/message.js';
import type { OtelApi } from './otel-api.js';

/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/), 3.2: version, trace id, parent id, flags. A version that is not
 * known yet may have more behind that.
 */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** More than any version has said so far. */
const MAX_TRACEPARENT_LENGTH = 128;
/** What the specification has every system hand on; longer ones are dropped, not cut. */
const MAX_TRACESTATE_LENGTH = 512;
/** Of the flags, the one that we know. */
const SAMPLED = 1;

/** The headers that carry a span to where the message is handled. */
export function toTraceHeaders(spanContext: SpanContext): Record<string, string> {
  const { traceId, spanId, traceFlags, traceState } = spanContext;
  const flags = (traceFlags & SAMPLED).toString(16).padStart(2, '0');
  const headers: Record<string, string> = { [WIRE_HEADERS.traceParent]: `00-${traceId}-${spanId}-${flags}` };
  const state = traceState?.serialize() ?? '';
  if (state !== '' && state.length <= MAX_TRACESTATE_LENGTH) headers[WIRE_HEADERS.traceState] = state;
  return headers;
}

/** The span that a message was created in; undefined where the headers name none, or are no Trace Context. */
export function fromTraceHeaders(
  api: typeof OtelApi,
  headers: Readonly<Record<string, string>>,
): SpanContext | undefined {
  const traceparent = headers[WIRE_HEADERS.traceParent];
  if (traceparent === undefined || traceparent.length > MAX_TRACEPARENT_LENGTH) return undefined;
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(traceparent) ?? [];
  if (!traceId || !spanId || !flags || (version === '00' && rest !== undefined)) return undefined;
  const tracestate = headers[WIRE_HEADERS.traceState] ?? '';
  const isUsable = tracestate !== '' && tracestate.length <= MAX_TRACESTATE_LENGTH;
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & SAMPLED,
    isRemote: true,
    ...(isUsable ? { traceState: api.createTraceState(tracestate) } : {}),
  };
}
