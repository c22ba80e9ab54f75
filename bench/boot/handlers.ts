import {
  Command,
  CommandHandler,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  Query,
  QueryHandler,
} from '@cqrs-outbox/core';
import { Inject, type Type } from '@nestjs/common';

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a token and an instance are all that is needed
const service = (): Type => class Service {};

/** What each handler gets from Nest: three services, as many as a handler that does something needs. */
export const SERVICES: readonly Type[] = Array.from({ length: 3 }, service);

abstract class BenchHandler {
  async execute(): Promise<string> {
    return this.constructor.name;
  }

  async handle(): Promise<void> {
    await this.execute();
  }
}

const commandHandler = (): Type => {
  class Request extends Command<string> {}
  class Handler extends BenchHandler {}
  CommandHandler(Request)(Handler);
  return Handler;
};

const queryHandler = (): Type => {
  class Request extends Query<string> {}
  class Handler extends BenchHandler {}
  QueryHandler(Request)(Handler);
  return Handler;
};

const eventHandler = (index: number): Type => {
  class Happened extends NotificationEvent {}
  class Handler extends BenchHandler {}
  IntegrationEvent({ name: `bench.happened-${index}`, topic: 'bench' })(Happened);
  EventHandler(Happened, { name: `handler-${index}` })(Handler);
  return Handler;
};

/** Handlers of 250 commands, 150 queries and 100 events, each a class of its own. */
export function handlers(): Type[] {
  const all = [
    ...Array.from({ length: 250 }, commandHandler),
    ...Array.from({ length: 150 }, queryHandler),
    ...Array.from({ length: 100 }, (_, index) => eventHandler(index)),
  ];
  // Decorators are called by hand: Node runs these sources without a build.
  for (const handler of all) {
    for (const [index, token] of SERVICES.entries()) Inject(token)(handler, undefined, index);
  }
  return all;
}
