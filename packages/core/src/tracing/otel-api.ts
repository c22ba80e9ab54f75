import type { Tracer, TracerProvider } from '@opentelemetry/api';
import type * as OtelApi from '@opentelemetry/api';

/** The module `@opentelemetry/api`, which an application may do without. */
export type { OtelApi };

/**
 * Loads the API, if the application has it.
 *
 * @returns undefined when it is not installed
 * @throws what a broken installation throws
 */
export async function loadOtelApi(): Promise<typeof OtelApi | undefined> {
  try {
    return await import('@opentelemetry/api');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Not when it is there, and one of its own imports is not. */
function isMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  const isNotFound = error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND';
  return isNotFound && 'message' in error && String(error.message).includes("'@opentelemetry/api'");
}

/** The tracer of the SDK that is registered now; undefined when there is none, and nothing is to be done. */
export function activeTracer(api: typeof OtelApi): Tracer | undefined {
  // Until an SDK is registered, the API hands out a provider of its own, which has no tracer to delegate to.
  const provider: TracerProvider & Partial<DelegatingProvider> = api.trace.getTracerProvider();
  return provider.getDelegateTracer
    ? provider.getDelegateTracer(TRACER_NAME)
    : provider.getTracer(TRACER_NAME);
}

/** The part of the API's own provider that we use. Its class is deprecated, and may be gone in another version. */
interface DelegatingProvider {
  getDelegateTracer(name: string): Tracer | undefined;
}

/** The instrumentation scope of all spans. */
const TRACER_NAME = '@cqrs-outbox/core';
