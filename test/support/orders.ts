import {
  AggregateRoot,
  DomainEvent,
  ECSTEvent,
  IntegrationEvent,
  NotificationEvent,
} from '@cqrs-outbox/core';
import { defineEntity, p } from '@mikro-orm/core';
import { IsInt, IsString } from 'class-validator';

/** A small domain for tests: orders that are placed, paid, deleted. */
export class OrderPlaced extends DomainEvent {
  orderId!: number;
}

@IntegrationEvent({ name: 'orders.paid', topic: 'orders', key: (event: OrderPaid) => String(event.orderId) })
export class OrderPaid extends NotificationEvent {
  @IsInt() orderId!: number;
  @IsInt() step: number = 0;
}

@IntegrationEvent({
  name: 'orders.state',
  topic: 'orders',
  key: (event: OrderState) => String(event.orderId),
})
export class OrderState extends ECSTEvent {
  @IsInt() orderId!: number;
  @IsString() status!: string;
}

export class Order extends AggregateRoot {
  id!: number;
  status = 'new';

  place(): void {
    this.status = 'placed';
    this.record(OrderPlaced.of({ orderId: this.id }));
  }

  pay(step = 0): void {
    this.status = 'paid';
    this.record(OrderPaid.of({ orderId: this.id, step }));
  }
}

const orderSchema = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: { id: p.integer().primary().autoincrement(false), status: p.string() },
});
orderSchema.setClass(Order);

/** How often an effect of a handler happened, by a name. */
export class Tally {
  name!: string;
  count = 0;
}

const tallySchema = defineEntity({
  name: 'Tally',
  tableName: 'tally',
  properties: { name: p.string().primary(), count: p.integer() },
});
tallySchema.setClass(Tally);

export const testEntities = [orderSchema, tallySchema];
