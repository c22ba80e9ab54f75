import {
  Command,
  CommandHandler,
  Encoded,
  IntegrationEvent,
  NotificationEvent,
  bigIntCodec,
  dateCodec,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { Type } from 'class-transformer';
import {
  IsBoolean,
  IsEmail,
  IsIn,
  IsInt,
  IsISO8601,
  IsNumber,
  IsOptional,
  IsPositive,
  IsString,
  IsUUID,
  Length,
  Max,
  Min,
} from 'class-validator';

/** A command with rules for each of its ten properties. */
export class PlaceOrder extends Command<number> {
  orderId!: string;
  customer!: string;
  email!: string;
  street!: string;
  country!: string;
  quantity!: number;
  price!: number;
  express!: boolean;
  deliverAt!: string;
  note?: string;
}

export class PlaceOrderHandler implements RequestHandler<PlaceOrder> {
  async execute({ quantity }: PlaceOrder): Promise<number> {
    return quantity;
  }
}

class Address {
  street!: string;
  city!: string;
  country!: string;
}

/** An event of ten properties: a nested object, two dates and an amount by codecs. */
export class OrderPlaced extends NotificationEvent {
  orderId!: string;
  customer!: string;
  email!: string;
  quantity!: number;
  amount!: bigint;
  express!: boolean;
  placedAt!: Date;
  deliverAt!: Date;
  address!: Address;
  note!: string;
}

// Decorators are called by hand: Node runs these sources without a build.
CommandHandler(PlaceOrder)(PlaceOrderHandler);
IntegrationEvent<OrderPlaced>({ name: 'bench.order-placed', topic: 'bench', key: ({ orderId }) => orderId })(
  OrderPlaced,
);
const rules: Readonly<Record<string, readonly PropertyDecorator[]>> = {
  orderId: [IsUUID()],
  customer: [IsString(), Length(1, 100)],
  email: [IsEmail()],
  street: [IsString(), Length(1, 100)],
  country: [IsIn(['DE', 'FR', 'PL'])],
  quantity: [IsInt(), Min(1), Max(100)],
  price: [IsNumber(), IsPositive()],
  express: [IsBoolean()],
  deliverAt: [IsISO8601()],
  note: [IsOptional(), IsString()],
};
for (const [property, decorators] of Object.entries(rules)) {
  for (const decorate of decorators) decorate(PlaceOrder.prototype, property);
}
Type(() => Address)(OrderPlaced.prototype, 'address');
Encoded(bigIntCodec)(OrderPlaced.prototype, 'amount');
Encoded(dateCodec)(OrderPlaced.prototype, 'placedAt');
Encoded(dateCodec)(OrderPlaced.prototype, 'deliverAt');

export function validOrder(): PlaceOrder {
  return PlaceOrder.of({
    orderId: '0194fdc2-fa2f-7cc0-81d3-ff1207c4e9d1',
    customer: 'Ada Lovelace',
    email: 'ada@example.com',
    street: '12 St James Square',
    country: 'DE',
    quantity: 3,
    price: 19.9,
    express: true,
    deliverAt: '2026-03-01T10:00:00.000Z',
    note: 'ring twice',
  });
}

/** As its serializer has read it. */
export const PLACED_PLAIN = {
  orderId: '0194fdc2-fa2f-7cc0-81d3-ff1207c4e9d1',
  customer: 'Ada Lovelace',
  email: 'ada@example.com',
  quantity: 3,
  amount: '5970',
  express: true,
  placedAt: '2026-02-27T10:00:00.000Z',
  deliverAt: '2026-03-01T10:00:00.000Z',
  address: { street: '12 St James Square', city: 'London', country: 'GB' },
  note: 'ring twice',
};
