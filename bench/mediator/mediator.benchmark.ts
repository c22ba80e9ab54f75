import { CqrsOutboxModule, NullTransport, RequestMediator } from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { ExternalContextCreator, NestFactory } from '@nestjs/core';
import { CqrsModule, QueryBus } from '@nestjs/cqrs';
import { slicedRates, type Slicing, type Way } from '../app/sliced-rates.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import { InterceptedLookup, Lookup, NestHandler, OurHandler, OurInterceptedHandler } from './queries.ts';

const BARE: Slicing = { calls: 50_000, slices: 20 };
const INTERCEPTED: Slicing = { calls: 5_000, slices: 20 };

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class MediatorBenchModule {}

/** What a query costs from `send` to its handler, one after another, with the store in memory: no database is asked. */
export async function measureMediator({ runs, progress }: BenchContext): Promise<Measurement[]> {
  const outbox = {
    source: 'bench',
    store: InMemoryStore,
    transport: new NullTransport(),
    relay: false,
  } as const;
  const app = await NestFactory.createApplicationContext(
    {
      module: MediatorBenchModule,
      imports: [CqrsModule.forRoot(), CqrsOutboxModule.forRoot(outbox)],
      providers: [OurHandler, OurInterceptedHandler, NestHandler],
    },
    { logger: ['fatal', 'error', 'warn'], abortOnError: false },
  );
  try {
    const [mediator, bus] = [app.get(RequestMediator), app.get(QueryBus)];
    const [query, intercepted] = [Lookup.of({ id: 1 }), InterceptedLookup.of({ id: 1 })];
    const bare = await compare(
      [
        { name: 'send', work: () => mediator.send(query) },
        { name: 'QueryBus', work: () => bus.execute(query) },
      ],
      BARE,
    );
    const call = externalCall(app.get(ExternalContextCreator), app.get(OurInterceptedHandler));
    const enhanced = await compare(
      [
        { name: 'send, 2 interceptors', work: () => mediator.send(intercepted) },
        { name: 'ExternalContextCreator', work: () => call(intercepted) },
      ],
      INTERCEPTED,
    );
    return [
      line('query, no enhancer', bare, '@nestjs/cqrs: QueryBus.execute'),
      line('query, 2 interceptors', enhanced, 'a bare call by ExternalContextCreator of the same handler'),
    ];
  } finally {
    await app.close();
  }

  async function compare(ways: readonly Way[], slicing: Slicing): Promise<number[][]> {
    return slicedRates(ways, slicing, runs, (text) => progress(`${ways[0]!.name}, ${text}`));
  }
}

function line(work: string, [ours, floor]: number[][], what: string): Measurement {
  return {
    work,
    unit: 'calls/s',
    values: ours!,
    floor: { what, values: floor! },
    target: { kind: 'ratio at least', value: 1 },
  };
}

/** Nest's own pipeline around the handler, and nothing else. */
function externalCall(
  creator: ExternalContextCreator,
  handler: OurInterceptedHandler,
): (query: InterceptedLookup) => Promise<unknown> {
  const options = { guards: true, interceptors: true, filters: false };
  const execute = handler.execute as (...args: unknown[]) => unknown;
  const [none, type] = [undefined, 'cqrs'] as const;
  return creator.create(handler, execute, 'execute', none, none, none, none, options, type);
}
