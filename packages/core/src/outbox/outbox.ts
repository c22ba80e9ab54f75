import { NoActiveUnitOfWorkError } from '../cqrs-outbox.error.js';
import { DomainEvent, type ECSTEvent, type EventClass, type OutboundEvent } from '../messages/event.js';
import type { ExecutionScope } from '../unit-of-work/execution-scope.js';
import type { PendingEvents } from '../unit-of-work/pending-events.js';
import { RecordedEvent } from '../unit-of-work/recorded-event.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import type { EventEncoder, AppendOptions } from './event-encoder.js';

/** Where user code puts events that must leave the process if, and only if, the current transaction commits. */
export class Outbox {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly encoder: EventEncoder,
    private readonly scope: ExecutionScope,
  ) {}

  /**
   * Appends an event to the current transaction. The event is validated and serialised now; its rows are inserted as
   * the last thing before the commit. A rolled-back transaction or savepoint drops it. A `DomainEvent` is handled in
   * the process, before or after the commit as its handlers say, has no row, and takes no options.
   *
   * When it throws, nothing was appended, and the transaction can go on.
   *
   * @throws {@link NoActiveUnitOfWorkError} outside of a transaction, and in a query
   * @throws {@link EventValidationError} for an event that breaks its class-validator rules (rules that are
   *   asynchronous are not run), or whose payload breaks its schema
   * @throws {@link CqrsOutboxError} with code `EVENT_NOT_DECLARED`, `EVENT_NAME_CONFLICT`, `EVENT_KEY`, `EVENT_HEADER`,
   *   `EVENT_DELAY`, `UNKNOWN_DESTINATION`, `PAYLOAD_NOT_SERIALIZABLE` or `PAYLOAD_TOO_LARGE`
   */
  append(event: OutboundEvent, options?: AppendOptions): void;
  append(event: DomainEvent): void;
  append(event: OutboundEvent | DomainEvent, options?: AppendOptions): void {
    const pending = this.pendingFor(event.constructor.name);
    if (event instanceof DomainEvent)
      pending.addDomainEvent(new RecordedEvent(event, this.scope.current.cause));
    else pending.addEntries(this.encoder.encode(event, options));
  }

  /**
   * Appends a message with a null payload, which says that the aggregate with this key is gone (Kafka's log
   * compaction then forgets its older states). Same transaction and errors as {@link append}.
   */
  appendTombstone(eventClass: EventClass<ECSTEvent>, key: string, options?: AppendOptions): void {
    this.pendingFor(eventClass.name).addEntries(this.encoder.encodeTombstone(eventClass, key, options));
  }

  private pendingFor(eventName: string): PendingEvents {
    const pending = this.unitOfWork.current();
    const what = `${eventName} can't be appended`;
    if (!pending) throw new NoActiveUnitOfWorkError(what, 'no transaction is open');
    if (pending === this.scope.current.readOnly) {
      throw new NoActiveUnitOfWorkError(what, 'a query has no unit of work');
    }
    return pending;
  }
}
