import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';

/** The real SDK of OpenTelemetry, registered as an application would do it; spans are kept in memory. */
export class RecordedSpans {
  readonly #exporter = new InMemorySpanExporter();

  private constructor(sampler: Sampler | undefined) {
    const spanProcessors = [new SimpleSpanProcessor(this.#exporter)];
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors, ...(sampler && { sampler }) }));
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }

  static start(sampler?: Sampler): RecordedSpans {
    return new RecordedSpans(sampler);
  }

  /** As if no SDK had ever been registered. */
  stop(): void {
    trace.disable();
    context.disable();
  }

  clear(): void {
    this.#exporter.reset();
  }

  get all(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  named(name: string): ReadableSpan[] {
    return this.all.filter((span) => span.name === name);
  }

  /** The names of the spans of a trace, each below its parent: `send A > create b`. */
  pathsOf(traceId: string): string[] {
    const spans = this.all.filter((span) => span.spanContext().traceId === traceId);
    const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
    const pathOf = (span: ReadableSpan): string => {
      const parentId = span.parentSpanContext?.spanId;
      if (parentId === undefined) return span.name;
      const parent = byId.get(parentId);
      return `${parent ? pathOf(parent) : '?'} > ${span.name}`;
    };
    return spans.map(pathOf).sort();
  }
}
