import { Command, type CqrsContextType, ECSTEvent, NotificationEvent } from '@cqrs-outbox/core';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import type { Timeline } from './timeline.js';

/** Interceptors are around the transactions of handlers: when one sees the end, the handler's work has committed. */
export class TracingInterceptor implements NestInterceptor {
  constructor(private readonly timeline: Timeline) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType<CqrsContextType>() !== 'cqrs') return next.handle();
    const [subject] = context.getArgs<[object]>();
    const subjectName = subject.constructor.name;
    if (subject instanceof Command) return this.traceCommand(subjectName, next);
    if (subject instanceof ECSTEvent || subject instanceof NotificationEvent) {
      return this.traceEvent(`${subjectName} -> ${context.getClass().name}`, next);
    }
    return next.handle();
  }

  private traceCommand(what: string, next: CallHandler): Observable<unknown> {
    this.timeline.mark('command', what);
    return next.handle().pipe(
      tap({
        complete: () => this.timeline.mark('commit', 'the change and its events, in one transaction'),
        error: (error: unknown) => this.timeline.mark('rejected', String(error)),
      }),
    );
  }

  private traceEvent(what: string, next: CallHandler): Observable<unknown> {
    this.timeline.mark('consumed', what);
    return next
      .handle()
      .pipe(
        tap({ complete: () => this.timeline.mark('read model', `${what}, committed with the inbox row`) }),
      );
  }
}
