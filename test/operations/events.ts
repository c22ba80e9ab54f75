import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';

const options = { topic: 'stock', key: ({ item }: StockEvent) => item };

/** Events of one key, each with a number by which its place is told. */
abstract class StockEvent extends NotificationEvent {
  item!: string;
  step!: number;
}

@IntegrationEvent({ name: 'stock.moved', ...options })
export class StockMoved extends StockEvent {}

@IntegrationEvent({ name: 'stock.counted', ...options })
export class StockCounted extends StockEvent {}

/** Holds its key back when it is given up. */
@IntegrationEvent({ name: 'stock.closed', ...options, deadLetterPolicy: 'park' })
export class StockClosed extends StockEvent {}

/** Goes to two destinations. */
@IntegrationEvent({ name: 'stock.audited', ...options, destinations: ['default', 'audit'] })
export class StockAudited extends StockEvent {}

/** Goes to the second destination alone. */
@IntegrationEvent({ name: 'stock.archived', ...options, destinations: 'audit' })
export class StockArchived extends StockEvent {}

/** Goes to two destinations, and holds its key back at the one where it is given up. */
@IntegrationEvent({
  name: 'stock.blocked',
  ...options,
  destinations: ['default', 'audit'],
  deadLetterPolicy: 'park',
})
export class StockBlocked extends StockEvent {}

/** As large as it is told to be. */
@IntegrationEvent({ name: 'stock.described', ...options })
export class StockDescribed extends StockEvent {
  text!: string;
}
