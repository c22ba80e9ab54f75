import { Injectable } from '@nestjs/common';
import { CqrsOutboxError, UnitOfWorkRolledBackError } from '../cqrs-outbox.error.js';
import { AggregateRoot } from '../messages/aggregate-root.js';
import { isOutbound, type DomainEvent } from '../messages/event.js';
import { EventEncoder } from '../outbox/event-encoder.js';
import type { OutboxEntry } from '../outbox/outbox-entry.js';
import { EventMediator } from '../mediators/event-mediator.js';
import { WakeUp } from '../relay/wake-up.js';
import type { CommittingTransaction, TransactionHooks } from './unit-of-work.js';

/** A transaction that records more than this is taken for a cycle of handlers. */
const MAX_DOMAIN_EVENTS = 10_000;

/**
 * The last step before COMMIT: aggregates' events are collected, domain events handled (oldest first, until none is
 * left), and then all entries inserted at once. The insert comes last, when the row locks of the aggregates are held,
 * so that ids of one key are drawn in the order in which its transactions commit.
 */
@Injectable()
export class CommitStep implements TransactionHooks {
  constructor(
    private readonly encoder: EventEncoder,
    private readonly mediator: EventMediator,
    private readonly wakeUp: WakeUp,
  ) {}

  async beforeCommit(transaction: CommittingTransaction): Promise<void> {
    const { pending } = transaction;
    let handled = 0;
    this.collect(transaction);
    for (let event = pending.nextDomainEvent(); event; event = pending.nextDomainEvent()) {
      if (++handled > MAX_DOMAIN_EVENTS) throw limitReached(event);
      await this.handle(event, transaction);
      this.collect(transaction);
    }
    if (pending.failure) throw new UnitOfWorkRolledBackError(pending.failure.cause);
    const entries = pending.takeEntries();
    if (entries.length === 0) return;
    const strictKeys = entries.filter(({ strictOrder }) => strictOrder).map(({ key }) => key);
    // Before the ids are drawn, and nothing else is locked from here to the commit.
    if (strictKeys.length > 0) await transaction.lockKeys([...new Set(strictKeys)]);
    await transaction.insert(entries);
  }

  afterCommit(entries: readonly OutboxEntry[]): void {
    this.wakeUp.signal(entries);
  }

  collect(transaction: CommittingTransaction): void {
    const { pending } = transaction;
    for (const aggregate of transaction.aggregates()) {
      for (const event of AggregateRoot.takeRecorded(aggregate)) {
        try {
          if (isOutbound(event)) pending.addEntries(this.encoder.encode(event));
          else pending.addDomainEvent(event);
        } catch (error) {
          // The change that it tells of may be written already: who catches this must not commit it without the event.
          pending.markFailed(error);
          throw error;
        }
      }
    }
  }

  private async handle(event: DomainEvent, transaction: CommittingTransaction): Promise<void> {
    if (!transaction.canFlush) {
      throw new CqrsOutboxError(
        'DOMAIN_EVENT_OUTSIDE_TRANSACTION',
        `${event.constructor.name} was recorded in a flush without an explicit transaction, in which its handlers ` +
          `could change nothing: send a command, or wrap the work in em.transactional().`,
      );
    }
    await transaction.run(() => this.mediator.send(event));
    await transaction.flush();
  }
}

function limitReached(event: DomainEvent): CqrsOutboxError {
  return new CqrsOutboxError(
    'DOMAIN_EVENT_LIMIT',
    `Over ${MAX_DOMAIN_EVENTS} domain events in one transaction, the last a ${event.constructor.name}: do handlers ` +
      `record each other's events in a cycle?`,
  );
}
