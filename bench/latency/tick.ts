import { Command, CommandHandler, IntegrationEvent, NotificationEvent, Outbox } from '@cqrs-outbox/core';
import { Dependencies } from '@nestjs/common';

/** The smallest command that has an event. Decorators are called by hand: Node runs these sources without a build. */
export class Tick extends Command {
  key!: string;
}

export class Ticked extends NotificationEvent {
  key!: string;
  text!: string;
}

const text = 'x'.repeat(270);

export class TickHandler {
  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  async execute({ key }: Tick): Promise<void> {
    this.#outbox.append(Ticked.of({ key, text }));
  }
}

/** @param topic where the events go; known at run time only */
export function declareTick(topic: string): void {
  IntegrationEvent<Ticked>({ name: 'bench.ticked', topic, key: ({ key }) => key })(Ticked);
  CommandHandler(Tick)(TickHandler);
  Dependencies(Outbox)(TickHandler);
}
