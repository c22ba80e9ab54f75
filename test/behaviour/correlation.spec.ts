import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  DomainEvent,
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  InMemoryTransport,
  LoggingInterceptor,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  RequestMediator,
  type HandlesEvent,
  type MessageContext,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { createTestApp, type TestApp } from '../support/app.ts';
import { silentLogger } from '../support/silent-logger.ts';

class Step extends Command {
  @IsInt() number!: number;
}

class StepNoted extends DomainEvent {
  number!: number;
}

@IntegrationEvent({ name: 'steps.done', topic: 'steps', key: () => 'steps' })
class StepDone extends NotificationEvent {
  @IsInt() number!: number;
}

const LAST = 3;
const contexts: MessageContext[] = [];
const domainContexts: MessageContext[] = [];

@CommandHandler(Step)
class StepHandler implements RequestHandler<Step> {
  constructor(private readonly outbox: Outbox) {}

  async execute({ number }: Step): Promise<void> {
    this.outbox.append(StepNoted.of({ number }));
    this.outbox.append(StepDone.of({ number }));
  }
}

@EventHandler(StepNoted)
class NoteStep implements HandlesEvent<StepNoted> {
  async handle(_: StepNoted, context: MessageContext): Promise<void> {
    domainContexts.push(context);
  }
}

@EventHandler(StepDone)
class NextStep implements HandlesEvent<StepDone> {
  constructor(private readonly requests: RequestMediator) {}

  async handle({ number }: StepDone, context: MessageContext): Promise<void> {
    contexts.push(context);
    if (number < LAST) await this.requests.send(Step.of({ number: number + 1 }));
  }
}

@Controller()
class StepsController {
  constructor(private readonly consumer: EventConsumer) {}

  @EventPattern('steps')
  on(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
    return this.consumer.consume(payload, context);
  }
}

describe('a correlation', () => {
  let test: TestApp;
  let requests: RequestMediator;
  const logged: string[] = [];

  beforeEach(async () => {
    for (const list of [contexts, domainContexts, logged]) list.length = 0;
    const transport = new InMemoryTransport();
    test = await createTestApp({
      database: 'libsql',
      options: { transport, interceptors: [LoggingInterceptor] },
      providers: [StepHandler, NoteStep, NextStep],
      controllers: [StepsController],
      servers: [{ strategy: transport.createServer() }],
    });
    requests = test.app.get(RequestMediator);
    Logger.overrideLogger({
      ...silentLogger,
      log: (text: string) => logged.push(text),
      error: (text: string) => logged.push(text),
    });
  });
  afterEach(async () => {
    Logger.overrideLogger(silentLogger);
    await test.close();
  });

  const relayAll = async (): Promise<void> => {
    for (let step = 1; step <= LAST; step++) await test.app.get(OutboxRelay).runOnce();
    expect(contexts).toHaveLength(LAST);
  };

  it('runs from a command through all that its events set off', async () => {
    await requests.send(Step.of({ number: 1 }), { correlationId: 'request-1' });
    await relayAll();
    expect(contexts.map(({ correlationId }) => correlationId)).toEqual(Array(LAST).fill('request-1'));
    const ids = contexts.map(({ messageId }) => messageId);
    expect(contexts.map(({ causationId }) => causationId)).toEqual([undefined, ...ids.slice(0, -1)]);
  });

  it('begins with the first event where the command has none', async () => {
    await requests.send(Step.of({ number: 1 }));
    await relayAll();
    const [first] = contexts;
    expect(contexts.map(({ correlationId }) => correlationId)).toEqual(Array(LAST).fill(first?.messageId));
  });

  it('is seen by handlers of domain events', async () => {
    await requests.send(Step.of({ number: 1 }), { correlationId: 'request-1' });
    await relayAll();
    expect(domainContexts.map(({ correlationId }) => correlationId)).toEqual(Array(LAST).fill('request-1'));
    const ids = contexts.map(({ messageId }) => messageId);
    expect(domainContexts.map(({ causationId }) => causationId)).toEqual([undefined, ...ids.slice(0, -1)]);
  });

  it('stands in the logs of commands and events', async () => {
    await requests.send(Step.of({ number: 1 }), { correlationId: 'request-1' });
    await relayAll();
    for (const what of ['Step -> StepHandler', 'StepNoted -> NoteStep', 'StepDone -> NextStep'])
      expect(
        logged.filter((line) => line.startsWith(`${what} (correlation request-1) done in`)),
      ).toHaveLength(LAST);
  });

  it('does not reach what is sent beside it', async () => {
    await Promise.all([
      requests.send(Step.of({ number: LAST }), { correlationId: 'request-1' }),
      requests.send(Step.of({ number: LAST }), { correlationId: 'request-2' }),
      requests.send(Step.of({ number: LAST })),
    ]);
    await test.app.get(OutboxRelay).runOnce();
    const ids = contexts.map(({ correlationId, messageId }) =>
      correlationId === messageId ? 'its own' : correlationId,
    );
    expect(ids.sort()).toEqual(['its own', 'request-1', 'request-2']);
  });

  it.each(['', 'a b', 'a\0b', 'a\n', 'x'.repeat(65), 7 as never, null as never])(
    'has no id that can not be stored: %j',
    async (correlationId) => {
      await expect(requests.send(Step.of({ number: 1 }), { correlationId })).rejects.toMatchObject({
        code: 'CORRELATION_ID',
      });
      expect(domainContexts).toEqual([]);
    },
  );

  it('has an id of 64 characters at most', async () => {
    const correlationId = 'x'.repeat(64);
    await requests.send(Step.of({ number: LAST }), { correlationId });
    await test.app.get(OutboxRelay).runOnce();
    expect(contexts.map((context) => context.correlationId)).toEqual([correlationId]);
  });
});
