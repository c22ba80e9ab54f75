import { CqrsOutboxModule, EventMap, NullTransport, rebuildEvent, RequestMediator } from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { NestFactory } from '@nestjs/core';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import { slicedRates, type Slicing } from '../app/sliced-rates.ts';
import type { Measurement, Target } from '../cli/measurement.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import { OrderPlaced, PLACED_PLAIN, PlaceOrderHandler, validOrder } from './ordered.ts';

const SLICING: Slicing = { calls: 2_000, slices: 20 };
const TARGET: Target = { kind: 'ratio at least', value: 0.9 };

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class ValidationBenchModule {}

/** What class-validator and class-transformer cost a command and an event, with the store in memory. */
export async function measureValidation({ runs, progress }: BenchContext): Promise<Measurement[]> {
  const outbox = {
    source: 'bench',
    store: InMemoryStore,
    transport: new NullTransport(),
    relay: false,
  } as const;
  const app = await NestFactory.createApplicationContext(
    {
      module: ValidationBenchModule,
      imports: [CqrsOutboxModule.forRoot(outbox)],
      providers: [PlaceOrderHandler],
    },
    { logger: ['fatal', 'error', 'warn'], abortOnError: false },
  );
  try {
    const [mediator, command] = [app.get(RequestMediator), validOrder()];
    const validated = await slicedRates(
      [() => mediator.send(command), () => validate(command, {})],
      SLICING,
      runs,
      (text) => progress(`command, ${text}`),
    );
    const declaration = app.get(EventMap).declare(OrderPlaced);
    const rebuilt = await slicedRates(
      [() => rebuildEvent(declaration, PLACED_PLAIN), () => plainToInstance(OrderPlaced, PLACED_PLAIN)],
      SLICING,
      runs,
      (text) => progress(`event, ${text}`),
    );
    return [
      line('send a command of 10 properties with rules', validated, 'class-validator: validate alone'),
      line('rebuild an event of 10 properties', rebuilt, 'class-transformer: plainToInstance alone'),
    ];
  } finally {
    await app.close();
  }
}

function line(work: string, [ours, floor]: number[][], what: string): Measurement {
  return { work, unit: 'calls/s', values: ours!, floor: { what, values: floor! }, target: TARGET };
}
