import { CqrsOutboxModule, NullTransport, RequestMediator } from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { MikroORM, RequestContext } from '@mikro-orm/core';
import type { INestApplicationContext } from '@nestjs/common';
import { ExternalContextCreator, NestFactory } from '@nestjs/core';
import { CqrsModule, QueryBus } from '@nestjs/cqrs';
import { slicedRates, type Slicing } from '../app/sliced-rates.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import { LibSqlOutbox } from '../servers/libsql.ts';
import { InterceptedLookup, Lookup, NestHandler, OurHandler, OurInterceptedHandler } from './queries.ts';

const BARE: Slicing = { calls: 50_000, slices: 20 };
const SLOWER: Slicing = { calls: 5_000, slices: 20 };

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class MediatorBenchModule {}

/**
 * What a query costs from `send` to its handler, one after another. No database is asked: the store is that in memory, or
 * MikroORM, of which the query gets a context of its own.
 */
export async function measureMediator(context: BenchContext): Promise<Measurement[]> {
  return [...(await measureInMemory(context)), await measureWithMikroOrm(context)];
}

async function measureInMemory({ runs, progress }: BenchContext): Promise<Measurement[]> {
  const app = await NestFactory.createApplicationContext(
    {
      module: MediatorBenchModule,
      imports: [
        CqrsModule.forRoot(),
        CqrsOutboxModule.forRoot({
          source: 'bench',
          store: InMemoryStore,
          transport: new NullTransport(),
          relay: false,
        }),
      ],
      providers: [OurHandler, OurInterceptedHandler, NestHandler],
    },
    { logger: ['fatal', 'error', 'warn'], abortOnError: false },
  );
  try {
    const [mediator, bus] = [app.get(RequestMediator), app.get(QueryBus)];
    const [query, intercepted] = [Lookup.of({ id: 1 }), InterceptedLookup.of({ id: 1 })];
    const bare = await slicedRates(
      [() => mediator.send(query), () => bus.execute(query)],
      BARE,
      runs,
      (text) => progress(`no enhancer, ${text}`),
    );
    const call = externalCall(app);
    const enhanced = await slicedRates(
      [() => mediator.send(intercepted), () => call(intercepted)],
      SLOWER,
      runs,
      (text) => progress(`2 interceptors, ${text}`),
    );
    return [
      line('query, no enhancer', bare, '@nestjs/cqrs: QueryBus.execute', 1),
      line('query, 2 interceptors', enhanced, 'a bare call by ExternalContextCreator, the same handler', 1),
    ];
  } finally {
    await app.close();
  }
}

/** The most of it is what MikroORM takes for a fork of its entity manager. */
async function measureWithMikroOrm({ runs, progress }: BenchContext): Promise<Measurement> {
  const database = await LibSqlOutbox.create();
  const { ormOptions } = database;
  const transport = new NullTransport();
  const app = await startApp({ ormOptions, transport, options: { relay: false }, providers: [OurHandler] });
  try {
    const { em } = app.get(MikroORM);
    const [mediator, handler, query] = [app.get(RequestMediator), app.get(OurHandler), Lookup.of({ id: 1 })];
    const rates = await slicedRates(
      [() => mediator.send(query), () => RequestContext.create(em, () => handler.execute(query))],
      SLOWER,
      runs,
      (text) => progress(`MikroORM, ${text}`),
    );
    return line('query, no enhancer, MikroORM', rates, 'RequestContext.create around the handler, by hand');
  } finally {
    await app.close();
    await database.drop();
  }
}

function line(work: string, [ours, floor]: number[][], what: string, minRatio?: number): Measurement {
  return {
    work,
    unit: 'calls/s',
    values: ours!,
    floor: { what, values: floor! },
    ...(minRatio !== undefined && { target: { kind: 'ratio at least', value: minRatio } }),
  };
}

/** Nest's own pipeline around the handler, and nothing else. */
function externalCall(app: INestApplicationContext): (query: InterceptedLookup) => Promise<unknown> {
  const handler = app.get(OurInterceptedHandler);
  const options = { guards: true, interceptors: true, filters: false };
  const execute = handler.execute as (...args: unknown[]) => unknown;
  const [none, type] = [undefined, 'cqrs'] as const;
  return app
    .get(ExternalContextCreator)
    .create(handler, execute, 'execute', none, none, none, none, options, type);
}
