import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  DomainEvent,
  EventHandler,
  EventMap,
  EventMediator,
  HandlerNotFoundError,
  LoggingInterceptor,
  NotificationEvent,
  IntegrationEvent,
  NullTransport,
  Outbox,
  Query,
  QueryHandler,
  RequestMap,
  RequestMediator,
  RequestValidationError,
  type CqrsContextType,
  type CqrsOutboxOptions,
  type HandlesEvent,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import {
  Catch,
  Inject,
  Injectable,
  Logger,
  Scope,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, REQUEST, Reflector } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { IsInt, IsPositive, ValidateNested } from 'class-validator';
import { map, type Observable } from 'rxjs';
import { silentLogger } from '../support/silent-logger.ts';

class Trace {
  steps: string[] = [];
}

/** An interceptor that says when it is passed, in which context. */
function tracing(name: string) {
  @Injectable()
  class Tracing implements NestInterceptor {
    constructor(private readonly trace: Trace) {}

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      const type = context.getType<CqrsContextType>();
      this.trace.steps.push(`${name} ${type} ${context.getClass().name}.${context.getHandler().name}`);
      return next.handle().pipe(map((value: unknown) => (this.trace.steps.push(`${name} done`), value)));
    }
  }
  return Tracing;
}
const AppWide = tracing('app');
const ForRoot = tracing('forRoot');
const OnClass = tracing('class');
const OnMethod = tracing('method');

class Add extends Command<number> {
  @IsInt() @IsPositive() left!: number;
  right: number = 1;
}

@CommandHandler(Add)
@UseInterceptors(OnClass)
class AddHandler implements RequestHandler<Add> {
  constructor(private readonly trace: Trace) {}

  @UseInterceptors(OnMethod)
  @SetMetadata('role', 'adder')
  async execute({ left, right }: Add): Promise<number> {
    this.trace.steps.push('handler');
    return left + right;
  }
}

describe('the pipeline', () => {
  let module: TestingModule | undefined;

  const start = async (
    providers: Provider[],
    options: Partial<CqrsOutboxOptions> = {},
  ): Promise<TestingModule> => {
    module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({
          source: 'tests',
          transport: new NullTransport(),
          relay: false,
          store: InMemoryStore,
          ...options,
        }),
      ],
      providers: [{ provide: Trace, useValue: new Trace() }, ...providers],
    })
      .setLogger(silentLogger)
      .compile();
    return module.init();
  };

  afterEach(async () => {
    await module?.close();
    module = undefined;
  });

  const steps = () => module!.get(Trace).steps;
  const send = <R>(request: Command<R> | Query<R>) => module!.get(RequestMediator).send(request);

  it('runs interceptors of the application, of forRoot, of the class and of the method, in this order', async () => {
    await start([AddHandler, { provide: APP_INTERCEPTOR, useClass: AppWide }, ForRoot], {
      interceptors: [ForRoot],
    });
    await expect(send(Add.of({ left: 2, right: 3 }))).resolves.toBe(5);
    expect(steps()).toEqual([
      'app cqrs AddHandler.execute',
      'forRoot cqrs AddHandler.execute',
      'class cqrs AddHandler.execute',
      'method cqrs AddHandler.execute',
      'handler',
      'method done',
      'class done',
      'forRoot done',
      'app done',
    ]);
  });

  it('constructs interceptors that no module provides, and takes instances', async () => {
    const calls: string[] = [];
    const instance: NestInterceptor = {
      intercept: (_, next) => {
        calls.push('instance');
        return next.handle();
      },
    };
    await start([AddHandler], { interceptors: [LoggingInterceptor, instance] });
    await send(Add.of({ left: 1, right: 1 }));
    expect(calls).toEqual(['instance']);
  });

  it('says which interceptor can not be constructed', async () => {
    @Injectable()
    class Needy implements NestInterceptor {
      constructor(@Inject('NOT_THERE') readonly missing: unknown) {}
      intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle();
      }
    }
    await expect(start([AddHandler], { interceptors: [Needy] })).rejects.toMatchObject({
      faults: [expect.stringContaining("interceptors: Needy can't be constructed")],
    });
  });

  it('asks guards of the application, of forRoot and of the class, which see the metadata of the method', async () => {
    const asked: string[] = [];
    const guard = (name: string, allow = true): CanActivate => ({
      canActivate: (context) => {
        asked.push(`${name} ${new Reflector().get<string>('role', context.getHandler())}`);
        return allow;
      },
    });
    @CommandHandler(Add)
    @UseGuards(guard('class', false))
    class GuardedHandler extends AddHandler {}
    await start([GuardedHandler, { provide: APP_GUARD, useValue: guard('app') }, OnClass, OnMethod], {
      guards: [guard('forRoot')],
    });
    await expect(send(Add.of({ left: 1, right: 1 }))).rejects.toMatchObject({ status: 403 });
    expect(asked).toEqual(['app adder', 'forRoot adder', 'class adder']);
    expect(steps()).toEqual([]);
  });

  it('lets filters of the class, of forRoot and of the application catch', async () => {
    class Oops extends Error {}
    const filter = (answer: string): ExceptionFilter => {
      @Catch(Oops)
      class OopsFilter implements ExceptionFilter {
        catch(_: unknown, host: ArgumentsHost): string {
          return `${answer} ${host.getType<CqrsContextType>()}`;
        }
      }
      return new OopsFilter();
    };
    class Fail extends Command<string> {}
    @CommandHandler(Fail)
    class PlainHandler implements RequestHandler<Fail> {
      async execute(): Promise<string> {
        throw new Oops();
      }
    }
    @CommandHandler(Fail)
    @UseFilters(filter('class'))
    class FilteredHandler extends PlainHandler {}

    await start([FilteredHandler]);
    await expect(send(Fail.of())).resolves.toBe('class cqrs');
    await module!.close();
    await start([PlainHandler], { filters: [filter('forRoot')] });
    await expect(send(Fail.of())).resolves.toBe('forRoot cqrs');
    await module!.close();
    await start([PlainHandler, { provide: APP_FILTER, useValue: filter('app') }]);
    await expect(send(Fail.of())).resolves.toBe('app cqrs');
    await module!.close();
    await start([PlainHandler]);
    await expect(send(Fail.of())).rejects.toBeInstanceOf(Oops);
  });

  it('lets a filter report the failure of an event handler, but not make it a success', async () => {
    class Failed extends DomainEvent {}
    @IntegrationEvent({ name: 'pipeline.failing', topic: 'pipeline' })
    class Failing extends NotificationEvent {}
    const reported: unknown[] = [];
    @Catch()
    class ReportFilter implements ExceptionFilter {
      async catch(error: unknown): Promise<void> {
        reported.push(error);
      }
    }
    @EventHandler(Failed)
    class OnFailed implements HandlesEvent<Failed> {
      async handle(): Promise<void> {
        throw new Error('domain handler');
      }
    }
    @EventHandler(Failing)
    class OnFailing implements HandlesEvent<Failing> {
      async handle(): Promise<void> {
        throw new Error('message handler');
      }
    }
    await start([OnFailed, OnFailing], { filters: [ReportFilter] });
    const mediator = module!.get(EventMediator);
    await expect(mediator.send(Failed.of())).rejects.toThrow('domain handler');
    await expect(mediator.send(Failing.of())).rejects.toMatchObject({ code: 'EVENT_HANDLING' });
    expect(reported).toHaveLength(2);
  });

  it('finds a handler that a test has replaced by a value', async () => {
    await start([{ provide: AddHandler, useValue: { execute: async () => 42 } }, OnClass, OnMethod]);
    await expect(send(Add.of({ left: 1, right: 1 }))).resolves.toBe(42);
  });

  it('rolls back although a filter has caught the error', async () => {
    class Fail extends Command<string> {}
    @IntegrationEvent({ name: 'pipeline.never', topic: 'pipeline' })
    class Never extends NotificationEvent {}
    @CommandHandler(Fail)
    @UseFilters({ catch: () => 'caught' })
    class FailHandler implements RequestHandler<Fail> {
      constructor(private readonly outbox: Outbox) {}
      async execute(): Promise<string> {
        this.outbox.append(Never.of());
        throw new Error('after append');
      }
    }
    await start([FailHandler]);
    await expect(send(Fail.of())).resolves.toBe('caught');
    const { OutboxStore } = await import('@cqrs-outbox/core');
    await expect(module!.get(OutboxStore, { strict: false }).count('default')).resolves.toBe(0);
  });

  it('refuses an invalid request with each property and rule, and does not run the handler', async () => {
    await start([AddHandler, OnClass, OnMethod]);
    const sent = send(Add.of({ left: -1.5, right: 0 }));
    await expect(sent).rejects.toBeInstanceOf(RequestValidationError);
    await expect(sent).rejects.toMatchObject({
      code: 'REQUEST_VALIDATION',
      requestName: 'Add',
      violations: [
        {
          property: 'left',
          rules: { isInt: expect.any(String) as unknown, isPositive: expect.any(String) as unknown },
        },
      ],
    });
    expect(steps()).not.toContain('handler');
  });

  it('gives the path of a nested property', async () => {
    class Inner {
      @IsInt() count: unknown;
    }
    class Outer extends Command {
      @ValidateNested({ each: true }) items!: Inner[];
    }
    @CommandHandler(Outer)
    class OuterHandler implements RequestHandler<Outer> {
      async execute(): Promise<void> {}
    }
    await start([OuterHandler]);
    await expect(send(Outer.of({ items: [new Inner()] }))).rejects.toMatchObject({
      violations: [{ property: 'items[0].count' }],
    });
  });

  it('removes or refuses unknown properties as configured, and validates nothing when told so', async () => {
    const unknown = () => Add.of({ left: 1, right: 2, ...({ extra: 3 } as object) });
    class Echo extends Command<string[]> {
      @IsInt() a!: number;
    }
    @CommandHandler(Echo)
    class EchoHandler implements RequestHandler<Echo> {
      async execute(command: Echo): Promise<string[]> {
        return Object.keys(command);
      }
    }
    const echo = () => Echo.of({ a: 1, ...({ extra: 3 } as object) });
    await start([EchoHandler]);
    await expect(send(echo())).resolves.toEqual(['a', 'extra']);
    await module!.close();
    await start([EchoHandler], { validation: { whitelist: true } });
    await expect(send(echo())).resolves.toEqual(['a']);
    await module!.close();
    await start([EchoHandler], { validation: { whitelist: true, forbidNonWhitelisted: true } });
    await expect(send(echo())).rejects.toMatchObject({ violations: [{ property: 'extra' }] });
    await module!.close();
    await start([EchoHandler], { validation: false });
    await expect(send(Echo.of({ a: 'x' as never }))).resolves.toEqual(['a']);
    expect(unknown()).toBeInstanceOf(Add);
  });

  it('says which request has no handler', async () => {
    await start([]);
    await expect(send(Add.of({ left: 1, right: 1 }))).rejects.toBeInstanceOf(HandlerNotFoundError);
    await expect(send(Add.of({ left: 1, right: 1 }))).rejects.toThrow(
      /No handler for Add\. Decorate a class with @CommandHandler\(Add\)/,
    );
  });

  it('resolves request-scoped and transient handlers for each call, with the request in reach', async () => {
    let instances = 0;
    class WhoAmI extends Query<{ request: unknown; instance: number }> {
      name!: string;
    }
    class Count extends Query<number> {}
    @Injectable({ scope: Scope.REQUEST })
    class Current {
      constructor(@Inject(REQUEST) readonly request: unknown) {}
    }
    @QueryHandler(WhoAmI)
    class WhoAmIHandler implements RequestHandler<WhoAmI> {
      readonly #instance = ++instances;
      constructor(private readonly current: Current) {}
      async execute() {
        return { request: this.current.request, instance: this.#instance };
      }
    }
    let transients = 0;
    @QueryHandler(Count)
    @Injectable({ scope: Scope.TRANSIENT })
    @UseInterceptors(OnClass)
    class CountHandler implements RequestHandler<Count> {
      readonly #instance = ++transients;
      async execute(): Promise<number> {
        return this.#instance;
      }
    }
    await start([Current, WhoAmIHandler, CountHandler, OnClass]);
    const [ada, bob] = [WhoAmI.of({ name: 'ada' }), WhoAmI.of({ name: 'bob' })];
    const answers = await Promise.all([send(ada), send(bob)]);
    expect(answers.map(({ request }) => request)).toEqual([ada, bob]);
    expect(new Set(answers.map(({ instance }) => instance)).size).toBe(2);
    const [first, second] = [await send(Count.of()), await send(Count.of())];
    expect(second).toBeGreaterThan(first);
    expect(steps()).toContain('class cqrs CountHandler.execute');
  });

  it('runs interceptors for events as well, and domain events in the transaction, first recorded first', async () => {
    class Happened extends DomainEvent {
      step!: number;
    }
    class Do extends Command {}
    @CommandHandler(Do)
    class DoHandler implements RequestHandler<Do> {
      constructor(
        private readonly outbox: Outbox,
        private readonly trace: Trace,
      ) {}
      async execute(): Promise<void> {
        for (const step of [1, 2]) this.outbox.append(Happened.of({ step }));
        this.trace.steps.push('executed');
      }
    }
    @EventHandler(Happened)
    class OnHappened implements HandlesEvent<Happened> {
      constructor(
        private readonly trace: Trace,
        private readonly outbox: Outbox,
      ) {}
      async handle({ step }: Happened): Promise<void> {
        this.trace.steps.push(`handled ${step}`);
        if (step === 1) this.outbox.append(Happened.of({ step: 3 }));
      }
    }
    await start([DoHandler, OnHappened, ForRoot], { interceptors: [ForRoot] });
    await send(Do.of());
    expect(steps().filter((step) => !step.includes('done'))).toEqual([
      'forRoot cqrs DoHandler.execute',
      'executed',
      'forRoot cqrs OnHappened.handle',
      'handled 1',
      'forRoot cqrs OnHappened.handle',
      'handled 2',
      'forRoot cqrs OnHappened.handle',
      'handled 3',
    ]);
  });

  it('runs handlers that were bound by hand', async () => {
    class Ask extends Query<string> {}
    class Noted extends DomainEvent {}
    const noted: object[] = [];
    await start([]);
    module!.get(RequestMap).bind('query', Ask, { execute: async () => 'by hand' });
    module!.get(EventMap).bind(Noted, { handle: (event) => void noted.push(event) }, 'note');
    @IntegrationEvent({ name: 'pipeline.by-hand', topic: 'pipeline' })
    class ByHand extends NotificationEvent {}
    module!.get(EventMap).bind(ByHand, { handle: () => undefined });
    expect(module!.get(EventMap).byName('pipeline.by-hand')?.eventClass).toBe(ByHand);
    await expect(send(Ask.of())).resolves.toBe('by hand');
    await module!.get(EventMediator).send(Noted.of());
    expect(noted).toHaveLength(1);
    expect(() => module!.get(RequestMap).bind('query', Ask, { execute: async () => '' })).toThrow(
      'Ask has two handlers',
    );
  });

  it('gives one application nothing of another in the same process', async () => {
    await start([AddHandler, OnClass, OnMethod]);
    const other = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRoot({
          source: 'other',
          transport: new NullTransport(),
          relay: false,
          store: InMemoryStore,
        }),
      ],
    })
      .setLogger(silentLogger)
      .compile();
    await other.init();
    await expect(send(Add.of({ left: 1, right: 1 }))).resolves.toBe(2);
    await expect(other.get(RequestMediator).send(Add.of({ left: 1, right: 1 }))).rejects.toBeInstanceOf(
      HandlerNotFoundError,
    );
    await other.close();
  });

  it('logs outcome and duration, and payloads only when asked, with masked fields', async () => {
    const lines: string[] = [];
    class Login extends Command {
      user!: string;
      secret!: { Password: string; pin: bigint };
    }
    @CommandHandler(Login)
    class LoginHandler implements RequestHandler<Login> {
      async execute({ user }: Login): Promise<void> {
        if (user === 'eve') throw new Error('who are you');
      }
    }
    const write = (line: unknown): void => void lines.push(String(line));
    const command = (user: string) => Login.of({ user, secret: { Password: 'hunter2', pin: 7n } });
    for (const interceptor of [
      LoggingInterceptor,
      new LoggingInterceptor({ payload: true, maskedFields: ['password'] }),
    ]) {
      await start([LoginHandler], { interceptors: [interceptor] });
      Logger.overrideLogger({ log: write, error: write, warn: write });
      await send(command('ada'));
      await expect(send(command('eve'))).rejects.toThrow('who are you');
      Logger.overrideLogger(silentLogger);
      await module!.close();
    }
    expect(lines).toEqual([
      expect.stringMatching(/^Login -> LoginHandler done in \d+\.\d ms$/),
      expect.stringMatching(/^Login -> LoginHandler failed in \d+\.\d ms: who are you$/),
      expect.stringContaining('{"user":"ada","secret":{"Password":"***","pin":"7"}} done in'),
      expect.stringContaining('{"user":"eve","secret":{"Password":"***","pin":"7"}} failed in'),
    ]);
  });
});
