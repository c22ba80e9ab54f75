import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';

/** What both events have in common. */
class Noted extends NotificationEvent {
  key!: string;
  text!: string;
}

export class PlainlyNoted extends Noted {}
export class StrictlyNoted extends Noted {}

export type NotedClass = typeof PlainlyNoted | typeof StrictlyNoted;

const key = (event: Noted): string => event.key;

// Decorators are called by hand: Node runs these sources without a build.
IntegrationEvent<Noted>({ name: 'bench.plainly-noted', topic: 'bench', key })(PlainlyNoted);
IntegrationEvent<Noted>({ name: 'bench.strictly-noted', topic: 'bench', key, strictOrder: true })(
  StrictlyNoted,
);
