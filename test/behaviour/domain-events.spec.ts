import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  DomainEvent,
  EventHandler,
  EventMediator,
  IntegrationEvent,
  NoActiveUnitOfWorkError,
  NotificationEvent,
  NullTransport,
  Outbox,
  OutboxStore,
  RequestMediator,
  UnitOfWork,
  type EventHandlerOptions,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { InMemoryStore, InMemoryUnitOfWork } from '@cqrs-outbox/testing';
import {
  Injectable,
  Logger,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
  type Type,
} from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { silentLogger } from '../support/silent-logger.ts';

/** Runs what the test says. */
class Do extends Command {
  work!: () => Promise<void> | void;
}

@CommandHandler(Do)
class DoHandler {
  async execute({ work }: Do): Promise<void> {
    await work();
  }
}

class Placed extends DomainEvent {
  label: string = '';
}
class Paid extends DomainEvent {}
class Shipped extends DomainEvent {}

@IntegrationEvent({ name: 'domain-events.told', topic: 'told' })
class Told extends NotificationEvent {}

@Injectable()
class Passing implements NestInterceptor {
  static readonly passed: string[] = [];

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    Passing.passed.push(`${context.getClass().name}.${context.getHandler().name}`);
    return next.handle();
  }
}

describe('domain events', () => {
  let module: TestingModule | undefined;
  let log: string[];

  const start = async (...providers: Provider[]): Promise<void> => {
    module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({
          source: 'tests',
          transport: new NullTransport(),
          relay: false,
          store: InMemoryStore,
          interceptors: [Passing],
        }),
      ],
      providers: [DoHandler, ...providers],
    })
      .setLogger(silentLogger)
      .compile();
    await module.init();
  };

  /** A handler that does what the test says. */
  const handler = (
    event: Type<DomainEvent>,
    options: EventHandlerOptions,
    handle: (event: DomainEvent) => Promise<void> | void,
  ): Provider => {
    @EventHandler(event, options)
    class Handler implements HandlesEvent<DomainEvent> {
      handle(given: DomainEvent): Promise<void> | void {
        return handle(given);
      }
    }
    return Handler;
  };
  const after = { phase: 'after-commit' } as const;

  const get = <T>(type: Parameters<TestingModule['get']>[0]) => module!.get<T>(type, { strict: false });
  const requests = () => get<RequestMediator>(RequestMediator);
  const outbox = () => get<Outbox>(Outbox);
  const unitOfWork = () => get<InMemoryUnitOfWork>(UnitOfWork);
  const append = (...events: (DomainEvent | NotificationEvent)[]): void => {
    for (const event of events) outbox().append(event as DomainEvent);
  };
  const place = (label = '') => Placed.of({ label });
  /** Does it, after a line in the log. */
  const logged = (line: string, ...events: (DomainEvent | NotificationEvent)[]): void => {
    log.push(line);
    append(...events);
  };
  const entries = () => get<OutboxStore>(OutboxStore).count('default');
  const run = (work: () => Promise<void> | void) => requests().send(Do.of({ work }));

  beforeEach(() => {
    log = [];
    Passing.passed.length = 0;
  });
  afterEach(async () => {
    await module?.close();
    module = undefined;
  });

  describe('before the commit', () => {
    it('are handled at any depth, and all that their handlers append commits', async () => {
      await start(
        handler(Placed, {}, () => logged('placed', Paid.of(), Told.of())),
        handler(Paid, { phase: 'before-commit' }, () => logged('paid', Shipped.of())),
        handler(Shipped, {}, () => logged('shipped', Told.of())),
      );
      await run(() => append(place()));
      expect(log).toEqual(['placed', 'paid', 'shipped']);
      expect(await entries()).toBe(2);
    });

    it('roll back all of it when a handler fails, at any depth', async () => {
      await start(
        handler(Placed, {}, () => append(Paid.of(), Told.of())),
        handler(Paid, {}, () => append(Shipped.of())),
        handler(Shipped, {}, () => {
          throw new Error('no ship');
        }),
        handler(Placed, { ...after, name: 'late' }, () => void log.push('late')),
      );
      await expect(run(() => append(place()))).rejects.toThrow('no ship');
      expect(await entries()).toBe(0);
      expect(log).toEqual([]);
    });
  });

  describe('after the commit', () => {
    it('are handled in the order of their recording, when all before it has run, and then the command resolves', async () => {
      await start(
        handler(Placed, after, async ({ label }: Partial<Placed>) => {
          await new Promise((resolve) => setImmediate(resolve));
          log.push(`after ${label}`);
        }),
        handler(Placed, { name: 'before' }, ({ label }: Partial<Placed>) => {
          log.push(`before ${label}`);
          if (label === 'a') append(place('c'));
        }),
      );
      await run(() => {
        for (const label of ['a', 'b']) append(Placed.of({ label }));
      });
      log.push('resolved');
      expect(log).toEqual(['before a', 'before b', 'before c', 'after a', 'after b', 'after c', 'resolved']);
    });

    it('are handled outside of the transaction, whose data is there, through the same enhancers', async () => {
      await start(
        handler(Placed, after, async () => {
          log.push(`${unitOfWork().current() === undefined} ${await entries()}`);
        }),
      );
      await run(() => append(Told.of(), place()));
      expect(log).toEqual(['true 1']);
      expect(Passing.passed).toEqual(['DoHandler.execute', 'Handler.handle']);
    });

    it('leave the command as it is when a handler fails, which is logged with event and handler, and go on', async () => {
      const lines: unknown[][] = [];
      await start(
        handler(Placed, { ...after, name: 'Fragile' }, () => {
          throw new Error('cache is away');
        }),
        handler(Placed, { ...after, name: 'Sturdy' }, () => void log.push('sturdy')),
        handler(Paid, after, () => void log.push('paid')),
      );
      Logger.overrideLogger({ ...silentLogger, error: (...line: unknown[]) => void lines.push(line) });
      await run(() => {
        append(Told.of(), place('secret'), Paid.of());
      });
      Logger.overrideLogger(silentLogger);
      expect(log).toEqual(['sturdy', 'paid']);
      expect(await entries()).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]![0]).toBe(
        'Fragile has failed to handle Placed after the commit, which stays: cache is away',
      );
      expect(lines[0]![1]).toContain('domain-events.spec');
      expect(JSON.stringify(lines)).not.toContain('secret');
    });

    it('are not handled when the transaction was rolled back, nor those of a savepoint that was', async () => {
      await start(handler(Placed, after, ({ label }: Partial<Placed>) => void log.push(label!)));
      const failing = run(() => {
        append(place('rolled back'));
        throw new Error('on purpose');
      });
      await expect(failing).rejects.toThrow('on purpose');
      await run(async () => {
        append(place('around'));
        const savepoint = unitOfWork().savepoint(async () => {
          append(place('inside'));
          throw new Error('not this part');
        });
        await savepoint.catch(() => undefined);
        await unitOfWork().savepoint(async () => append(place('released')));
      });
      expect(log).toEqual(['around', 'released']);
    });

    it('refuse an append, which has no transaction, and take a command, which has its own', async () => {
      await start(
        handler(Placed, after, async () => {
          expect(() => append(Told.of())).toThrow(NoActiveUnitOfWorkError);
          await expect(
            run(() => {
              append(Told.of());
              throw new Error('alone');
            }),
          ).rejects.toThrow('alone');
          await run(() => append(Told.of()));
          log.push('done');
        }),
      );
      await run(() => append(Told.of(), place()));
      expect(log).toEqual(['done']);
      expect(await entries()).toBe(2);
    });

    it('of a joined command wait for the commit of all of it', async () => {
      await start(handler(Placed, after, () => void log.push('handled')));
      await run(async () => {
        await run(() => append(place()));
        log.push('joined');
      });
      expect(log).toEqual(['joined', 'handled']);
    });

    it('that were sent by hand are handled when the open transaction has committed, or at once without one', async () => {
      await start(
        handler(Placed, after, () => void log.push('after')),
        handler(Placed, { name: 'before' }, () => void log.push('before')),
      );
      const mediator = get<EventMediator>(EventMediator);
      await mediator.send(place());
      expect(log.splice(0)).toEqual(['before', 'after']);
      await run(async () => {
        await mediator.send(place());
        log.push('work');
      });
      expect(log.splice(0)).toEqual(['before', 'work', 'after']);
      await run(async () => {
        const savepoint = unitOfWork().savepoint(async () => {
          await mediator.send(place());
          throw new Error('not this part');
        });
        await savepoint.catch(() => undefined);
      });
      expect(log).toEqual(['before']);
    });
  });

  describe('in a cycle', () => {
    it('end with an error that names the classes of the cycle, long before thousands of handlers have run', async () => {
      await start(
        handler(Placed, {}, () => logged('placed', Paid.of())),
        handler(Paid, {}, () => logged('paid', Shipped.of())),
        handler(Shipped, {}, () => logged('shipped', Paid.of())),
      );
      const sent = run(() => append(place()));
      await expect(sent).rejects.toMatchObject({ code: 'DOMAIN_EVENT_LIMIT' });
      await expect(sent).rejects.toThrow(
        /100 times in a row, at last (Paid -> Shipped -> Paid|Shipped -> Paid -> Shipped):/,
      );
      expect(log).toHaveLength(100);
    });

    it('that grows wide before it is deep end with that error too', async () => {
      await start(
        handler(Placed, {}, () => {
          log.push('placed');
          for (let count = 0; count < 10; count++) append(place());
        }),
      );
      const sent = run(() => append(place()));
      await expect(sent).rejects.toThrow(
        'Over 10000 domain events in one transaction, the last Placed -> Placed',
      );
      expect(log).toHaveLength(10_000);
    });

    it('of handlers after the commit end the same way, and what has committed stays', async () => {
      const errors: string[] = [];
      const again = (): void => append(Told.of(), place());
      await start(
        handler(Placed, after, async () => {
          log.push('placed');
          await run(again).catch((error: unknown) => void errors.push(String(error)));
        }),
      );
      await run(again);
      expect(errors).toEqual([expect.stringContaining('100 times in a row, at last Placed -> Placed:')]);
      expect(log).toHaveLength(100);
      expect(await entries()).toBe(100);
    });

    it('of handlers that send events by hand, without a transaction, end too', async () => {
      const errors: string[] = [];
      const mediator = (): EventMediator => get<EventMediator>(EventMediator);
      await start(
        handler(Placed, after, async () => {
          log.push('placed');
          await mediator()
            .send(place())
            .catch((error: unknown) => void errors.push(String(error)));
        }),
      );
      await mediator().send(place());
      expect(errors).toEqual([expect.stringContaining('100 times in a row, at last Placed -> Placed:')]);
      expect(log).toHaveLength(100);
    });

    it('are told from many events of one handler, and from a chain that ends', async () => {
      await start(
        handler(Placed, {}, ({ label }: Partial<Placed>) => {
          log.push(label!);
          const next = Number(label) - 1;
          if (next > 0) append(Placed.of({ label: String(next) }));
        }),
      );
      await run(() => {
        for (let count = 0; count < 90; count++) append(place('100'));
      });
      expect(log).toHaveLength(9_000);
    });
  });
});
