import type { Span } from '@opentelemetry/api';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { OtelApi } from './otel-api.js';

/**
 * Says that what a span stands for has failed, by the error's code or class. Its text is left to the logs: that of a
 * database or a parser can hold the data.
 */
export function markFailed(api: typeof OtelApi, span: Span, error: unknown): void {
  const errorType = errorTypeOf(error);
  span.setAttribute('error.type', errorType);
  span.setStatus({ code: api.SpanStatusCode.ERROR, message: errorType });
}

function errorTypeOf(error: unknown): string {
  if (error instanceof CqrsOutboxError) return error.code;
  const name: unknown =
    typeof error === 'object' && error !== null && 'name' in error ? error.name : undefined;
  return typeof name === 'string' && name !== '' ? name : '_OTHER';
}
