import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  CqrsOutboxModule,
  NullTransport,
  Query,
  QueryHandler,
  RequestMediator,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { UseInterceptors, type CallHandler, type NestInterceptor, type Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { map, of, retry, timeout, toArray, type Observable } from 'rxjs';
import { silentLogger } from '../support/silent-logger.ts';

class Ask extends Query {}

/** Of an interceptor that does not look at its context. */
type Around = (next: CallHandler) => Observable<unknown> | Promise<Observable<unknown>>;

const interceptor = (around: Around): NestInterceptor => ({ intercept: (_, next) => around(next) });

/** A handler of {@link Ask} behind interceptors. */
function handlerOf(answer: () => unknown, ...arounds: Around[]): Provider {
  @QueryHandler(Ask)
  @UseInterceptors(...arounds.map(interceptor))
  class AskHandler implements RequestHandler<Ask> {
    execute(): Promise<unknown> {
      return answer() as Promise<unknown>;
    }
  }
  return AskHandler;
}

/** The same without enhancers of any kind. */
function plainHandlerOf(answer: () => unknown): Provider {
  @QueryHandler(Ask)
  class AskHandler implements RequestHandler<Ask> {
    execute(): Promise<unknown> {
      return answer() as Promise<unknown>;
    }
  }
  return AskHandler;
}

describe('interceptors of a handler', () => {
  let module: TestingModule | undefined;

  const ask = async (handler: Provider): Promise<unknown> => {
    const outbox = {
      source: 'tests',
      transport: new NullTransport(),
      relay: false,
      store: InMemoryStore,
    } as const;
    module = await Test.createTestingModule({
      imports: [CqrsOutboxModule.forRoot(outbox)],
      providers: [handler],
    })
      .setLogger(silentLogger)
      .compile();
    await module.init();
    return module.get(RequestMediator).send(Ask.of());
  };

  afterEach(async () => {
    await module?.close();
    module = undefined;
  });

  it('may run what is inside of them again, with the interceptors after them', async () => {
    const steps: string[] = [];
    const flaky = async (): Promise<string> => {
      steps.push('handler');
      if (steps.length < 4) throw new Error('once more');
      return 'done';
    };
    const inner: Around = (next) => (steps.push('inner'), next.handle());
    await expect(ask(handlerOf(flaky, (next) => next.handle().pipe(retry(2)), inner))).resolves.toBe('done');
    expect(steps).toEqual(['inner', 'handler', 'inner', 'handler']);
  });

  it('may answer without the handler, or give up waiting for it', async () => {
    let isCalled = false;
    const never = (): Promise<void> => ((isCalled = true), new Promise(() => undefined));
    await expect(ask(handlerOf(never, () => of('cached')))).resolves.toBe('cached');
    expect(isCalled).toBe(false);
    await module!.close();
    await expect(ask(handlerOf(never, (next) => next.handle().pipe(timeout(1))))).rejects.toThrow('Timeout');
    expect(isCalled).toBe(true);
  });

  it('may be asynchronous, and their errors are those of the request', async () => {
    const add =
      (text: string): Around =>
      async (next) =>
        next.handle().pipe(map((value) => `${String(value)} ${text}`));
    await expect(ask(handlerOf(async () => 'handler', add('outer'), add('inner')))).resolves.toBe(
      'handler inner outer',
    );
    for (const failing of [
      () => {
        throw new Error('refused');
      },
      () => Promise.reject(new Error('refused')),
    ] as Around[]) {
      await module!.close();
      await expect(ask(handlerOf(async () => 'handler', failing))).rejects.toThrow('refused');
    }
  });

  it('give the handler the asynchronous context in which they have called it', async () => {
    const storage = new AsyncLocalStorage<string>();
    const within =
      (name: string): Around =>
      (next) =>
        storage.run(`${storage.getStore() ?? ''}/${name}`, () => next.handle());
    const answer = async (): Promise<string | undefined> => storage.getStore();
    await expect(ask(handlerOf(answer, within('a'), within('b')))).resolves.toBe('/a/b');
  });

  it('see all values of an Observable, of which the last is the result', async () => {
    await expect(
      ask(
        handlerOf(
          () => of(1, 2, 3),
          (next) => next.handle(),
        ),
      ),
    ).resolves.toBe(3);
    await module!.close();
    await expect(
      ask(
        handlerOf(
          () => of(1, 2, 3),
          (next) => next.handle().pipe(toArray()),
        ),
      ),
    ).resolves.toEqual([1, 2, 3]);
  });

  it('are not needed for a handler that returns an Observable or a value, or throws at once', async () => {
    await expect(ask(plainHandlerOf(() => of(1, 2, 3)))).resolves.toBe(3);
    await module!.close();
    // Nest subscribes to what an async method returns too.
    await expect(ask(plainHandlerOf(async () => of(1, 2, 3)))).resolves.toBe(3);
    await module!.close();
    await expect(ask(plainHandlerOf(() => 'value'))).resolves.toBe('value');
    await module!.close();
    const thrown = new Error('at once');
    await expect(
      ask(
        plainHandlerOf(() => {
          throw thrown;
        }),
      ),
    ).rejects.toBe(thrown);
  });
});
