import { IntegrationEvent, NotificationEvent, type EventClass } from '@cqrs-outbox/core';
import { defineEntity, p } from '@mikro-orm/core';
import type { Fate } from '../history/records.ts';
import { HAPPENED, MAIN_TOPIC } from './topology.ts';

/** What happened, as it goes through outbox and broker. */
export interface FaultEvent {
  token: string;
  key: string;
  seq: number;
  filler: string;
}

type FaultEventClass = EventClass<NotificationEvent & FaultEvent>;
const classes = new Map<string, FaultEventClass>();

/** The class of events of this wire name. Those that a fault refuses have a topic of their own, called like them. */
export function eventClassOf(name: string): FaultEventClass {
  const known = classes.get(name);
  if (known) return known;
  const eventClass = class extends NotificationEvent implements FaultEvent {
    token = '';
    key = '';
    seq = 0;
    filler = '';
  };
  // Node strips types but knows no decorators: they are functions.
  IntegrationEvent<FaultEvent>({
    name,
    topic: name === HAPPENED ? MAIN_TOPIC : name,
    key: ({ key }) => key,
  })(eventClass);
  classes.set(name, eventClass);
  return eventClass;
}

/** The business rows: a counter for each key, and what was said to have happened. */
export class Counter {
  key!: string;
  value!: number;
}

export const counterSchema = defineEntity({
  name: 'Counter',
  tableName: 'fault_counter',
  properties: { key: p.string().primary().fieldName('k'), value: p.integer() },
});
counterSchema.setClass(Counter);

/** The truth: written in the transaction that appends the event. */
export class Happening {
  token!: string;
  key!: string;
  seq!: number;
  fate!: Fate;
}

export const happeningSchema = defineEntity({
  name: 'Happening',
  tableName: 'fault_event',
  properties: {
    token: p.string().primary(),
    key: p.string().fieldName('k'),
    seq: p.integer(),
    fate: p.string().$type<Fate>(),
  },
});
happeningSchema.setClass(Happening);
