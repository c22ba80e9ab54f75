import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';

/** Goes to two destinations. */
@IntegrationEvent({ name: 'orders.audited', topic: 'orders', destinations: ['default', 'audit'] })
export class Audited extends NotificationEvent {
  step!: number;
}
