import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';
import { IsInt, IsString } from 'class-validator';

export const EVENT_NAME = 'bench.credited';
export const TOPIC_KEYS = 100;
export const AMOUNT = 3;

/** What is consumed: money for an account, which is the message's key. */
export class Credited extends NotificationEvent {
  account!: string;
  amount!: number;
  text!: string;
}

// Decorators are called by hand: Node runs these sources without a build.
IsString()(Credited.prototype, 'account');
IsInt()(Credited.prototype, 'amount');
IsString()(Credited.prototype, 'text');
IntegrationEvent<Credited>({ name: EVENT_NAME, topic: 'bench', key: (event) => event.account })(Credited);

export const accountOf = (index: number): string => `key-${index % TOPIC_KEYS}`;
