import {
  HttpException,
  Inject,
  Injectable,
  Logger,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { tap, type Observable } from 'rxjs';
import { messageOf, RequestValidationError } from '../cqrs-outbox.error.js';
import type { MessageContext } from '../messages/message-context.js';
import { ExecutionScope } from '../unit-of-work/execution-scope.js';
import type { CqrsContextType } from './handler-pipeline.js';

/** Injection token of {@link LoggingOptions}, to be provided by a global module. */
export const LOGGING_OPTIONS = Symbol('cqrs-outbox:logging-options');

/** Settings of {@link LoggingInterceptor}. */
export interface LoggingOptions {
  /**
   * Whether the fields of requests and events are logged. Off, so that no payload reaches a log by accident.
   * @defaultValue false
   */
  payload?: boolean;
  /** Names of fields, at any depth and in any case, whose values are shown as `***`. */
  maskedFields?: readonly string[];
}

const MASK = '***';
const MAX_DEPTH = 6;

/**
 * Logs each command, query and event with its handler, its correlation, its duration in milliseconds and its outcome. Pass
 * the class to `forRoot({ interceptors: [LoggingInterceptor] })`, or an instance with settings; an instance does not know
 * the correlation of commands and queries.
 *
 * @example
 * interceptors: [new LoggingInterceptor({ payload: true, maskedFields: ['password', 'iban'] })]
 */
@Injectable()
export class LoggingInterceptor implements NestInterceptor {
  readonly #logger = new Logger('CqrsOutbox');
  readonly #masked: ReadonlySet<string>;
  readonly #payload: boolean;

  constructor(
    @Optional() @Inject(LOGGING_OPTIONS) options: LoggingOptions = {},
    @Optional() private readonly scope?: ExecutionScope,
  ) {
    this.#payload = options.payload ?? false;
    this.#masked = new Set((options.maskedFields ?? []).map((field) => field.toLowerCase()));
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // As an application's global interceptor it would also see HTTP and RPC calls, which are not ours to log.
    if (context.getType<CqrsContextType>() !== 'cqrs') return next.handle();
    const [subject, message] = context.getArgs<[object, MessageContext?]>();
    const correlationId = message?.correlationId ?? this.scope?.current.correlationId;
    const correlation = correlationId === undefined ? '' : ` (correlation ${correlationId})`;
    const what = `${subject.constructor.name} -> ${context.getClass().name}${correlation}${this.describe(subject)}`;
    const startedAt = performance.now();
    const elapsed = (): string => `${(performance.now() - startedAt).toFixed(1)} ms`;
    return next.handle().pipe(
      tap({
        complete: () => this.#logger.log(`${what} done in ${elapsed()}`),
        error: (error: unknown) => {
          const text = `${what} failed in ${elapsed()}: ${messageOf(error)}`;
          if (isRefusal(error)) this.#logger.warn(text);
          else this.#logger.error(text);
        },
      }),
    );
  }

  private describe(subject: object): string {
    return this.#payload ? ` ${JSON.stringify(this.mask(subject, 0))}` : '';
  }

  /** A copy that can be logged: masked, bounded in depth (which ends cycles too), with bigints as text. */
  private mask(value: unknown, depth: number): unknown {
    if (typeof value === 'bigint') return String(value);
    if (typeof value !== 'object' || value === null || value instanceof Date) return value;
    if (depth >= MAX_DEPTH) return '...';
    if (Array.isArray(value)) return value.map((item) => this.mask(item, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([field, item]) => [
        field,
        this.#masked.has(field.toLowerCase()) ? MASK : this.mask(item, depth + 1),
      ]),
    );
  }
}

/** What the caller has done wrong is no error of the application. */
function isRefusal(error: unknown): boolean {
  if (error instanceof HttpException) return error.getStatus() < 500;
  return error instanceof RequestValidationError;
}
