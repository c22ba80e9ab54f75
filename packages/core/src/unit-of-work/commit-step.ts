import { CqrsOutboxError, UnitOfWorkRolledBackError } from '../cqrs-outbox.error.js';
import { AggregateRoot } from '../messages/aggregate-root.js';
import { isOutbound } from '../messages/event.js';
import type { EventEncoder } from '../outbox/event-encoder.js';
import type { EventMediator } from '../mediators/event-mediator.js';
import type { WakeUp } from '../relay/wake-up.js';
import { checkDomainEventLimits } from './domain-event-limits.js';
import type { ExecutionScope } from './execution-scope.js';
import type { PendingEvents } from './pending-events.js';
import { RecordedEvent } from './recorded-event.js';
import type { CommittedTransaction, CommittingTransaction, TransactionHooks } from './unit-of-work.js';

/**
 * The last step before COMMIT: aggregates' events are collected, domain events handled (oldest first, until none is
 * left), and then all entries inserted at once. The insert comes last, when the row locks of the aggregates are held,
 * so that ids of one key are drawn in the order in which its transactions commit.
 *
 * And the first after it: the relay is woken, and the handlers run that have waited for the commit.
 */
export class CommitStep implements TransactionHooks {
  constructor(
    private readonly encoder: EventEncoder,
    private readonly mediator: EventMediator,
    private readonly wakeUp: WakeUp,
    private readonly scope: ExecutionScope,
  ) {}

  completePart(transaction: CommittingTransaction): Promise<void> | undefined {
    this.collect(transaction);
    return this.complete(transaction);
  }

  beforeCommit(transaction: CommittingTransaction): Promise<void> | undefined {
    this.collect(transaction);
    const completing = this.complete(transaction);
    return completing ? completing.then(() => this.insert(transaction)) : this.insert(transaction);
  }

  /** The relay is woken first: it need not wait for handlers. */
  afterCommit(transaction: CommittedTransaction): Promise<void> | undefined {
    this.wakeUp.signal(transaction.inserted);
    return transaction.pending.hasDeferred ? this.handleDeferred(transaction) : undefined;
  }

  collect(transaction: CommittingTransaction): void {
    const { pending } = transaction;
    const { cause } = this.scope.current;
    for (const aggregate of transaction.aggregates()) {
      for (const event of AggregateRoot.takeRecorded(aggregate)) {
        try {
          if (isOutbound(event)) pending.addEntries(this.encoder.encode(event));
          else pending.addDomainEvent(new RecordedEvent(event, cause));
        } catch (error) {
          // The change that it tells of may be written already: who catches this must not commit it without the event.
          pending.markFailed(error);
          throw error;
        }
      }
    }
  }

  private async handleDeferred(transaction: CommittedTransaction): Promise<void> {
    for (const { recorded, inContext } of transaction.pending.takeDeferred()) {
      await inContext(() =>
        this.mediator.handleAfterCommit(recorded, (work) => transaction.runOutside(work)),
      );
    }
  }

  private complete(transaction: CommittingTransaction): Promise<void> | undefined {
    const { pending } = transaction;
    if (pending.hasUnhandled) return this.handleDomainEvents(transaction).then(() => checkFailure(pending));
    checkFailure(pending);
    return undefined;
  }

  private insert(transaction: CommittingTransaction): Promise<void> | undefined {
    const entries = transaction.pending.takeEntries();
    if (entries.length === 0) return undefined;
    const strictKeys = entries.filter(({ strictOrder }) => strictOrder).map(({ key }) => key);
    if (strictKeys.length === 0) return transaction.insert(entries);
    // Before the ids are drawn, and nothing else is locked from here to the commit.
    return transaction.lockKeys([...new Set(strictKeys)]).then(() => transaction.insert(entries));
  }

  private async handleDomainEvents(transaction: CommittingTransaction): Promise<void> {
    const { pending } = transaction;
    let count = 0;
    for (let recorded = pending.nextDomainEvent(); recorded; recorded = pending.nextDomainEvent()) {
      checkDomainEventLimits(recorded, ++count);
      if (recorded.phase === 'before-commit') await this.handleBeforeCommit(recorded, transaction);
      if (this.mediator.hasHandlers(recorded.event, 'after-commit')) pending.defer(recorded);
    }
  }

  private async handleBeforeCommit(
    recorded: RecordedEvent,
    transaction: CommittingTransaction,
  ): Promise<void> {
    const { event } = recorded;
    if (!this.mediator.hasHandlers(event, 'before-commit')) return;
    if (!transaction.canFlush) {
      throw new CqrsOutboxError(
        'DOMAIN_EVENT_OUTSIDE_TRANSACTION',
        `${event.constructor.name} was recorded in a flush without an explicit transaction, in which its handlers ` +
          `could change nothing: send a command, wrap the work in em.transactional(), or handle it after the commit.`,
      );
    }
    await this.scope.run({ cause: recorded }, async () => {
      await transaction.run(() => this.mediator.handleBeforeCommit(event));
      await transaction.flush();
      this.collect(transaction);
    });
  }
}

function checkFailure({ failure }: PendingEvents): void {
  if (failure) throw new UnitOfWorkRolledBackError(failure.cause);
}
