import { turnsOf } from '../app/turns.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { BrokerName, DatabaseContext } from '../servers/bench-context.ts';
import type { AccountDatabase } from './account-database.ts';
import { createAccountDatabase } from './create-account-database.ts';
import type { ConsumerSettings } from './message-source.ts';
import { openSource } from './open-source.ts';
import { startByHandWithOrm } from './orm-consumer.ts';
import { rateOf, startByHand, startOurs, type Rate, type StartConsumer } from './run.ts';

const SIZE = 20_000;
const MIN_RATIO = 0.8;

const NAMES: Record<BrokerName, string> = { kafka: 'Kafka', rabbitmq: 'RabbitMQ' };
/** The default of `KafkaEventServer`. */
const ONE_BY_ONE: ConsumerSettings = { inHand: 8, transactions: 8, batchSize: 1 };
/** RabbitMQ's messages have no order: two transactions would wait for each other's accounts. */
const BATCHES: Record<BrokerName, ConsumerSettings> = {
  kafka: { inHand: 100, transactions: 4, batchSize: 50 },
  rabbitmq: { inHand: 100, transactions: 1, batchSize: 50 },
};

/** One of the ways that are compared. */
interface Way {
  readonly name: string;
  readonly start: StartConsumer;
  readonly database: AccountDatabase;
  /** Of each run. */
  readonly rates: Rate[];
}

/** How fast messages are handled that wait at the broker, by the library and by a hand-written consumer in turn. */
export async function measureConsume(context: DatabaseContext): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const broker of ['kafka', 'rabbitmq'] as const) {
    for (const settings of [ONE_BY_ONE, BATCHES[broker]])
      measurements.push(...(await measureBroker(broker, settings, context)));
  }
  return measurements;
}

async function measureBroker(
  broker: BrokerName,
  settings: ConsumerSettings,
  context: DatabaseContext,
): Promise<Measurement[]> {
  const way = async (name: string, start: StartConsumer): Promise<Way> => {
    const database = await createAccountDatabase(context.database, settings.transactions);
    return { name, start, database, rates: [] };
  };
  const ours = await way('the library', startOurs);
  const byHand = await way('hand-written consumer', startByHand);
  const withOrm = await way('hand-written consumer with MikroORM', startByHandWithOrm);
  const ways = [ours, byHand, withOrm];
  try {
    await alternate(ways, broker, settings, context);
  } finally {
    await Promise.all(ways.map(({ database }) => database.drop()));
  }
  const { batchSize } = settings;
  const batches = batchSize > 1 ? ` by batches of ${batchSize}` : '';
  const work = `${SIZE} from ${NAMES[broker]}${batches}`;
  const what = `consume: hand-written consumer${batchSize > 1 ? ' with the same batches' : ''}, raw driver and client`;
  return [
    {
      work: `consume ${work}, ${context.database.name}`,
      unit: 'msg/s',
      values: speeds(ours),
      floor: { what, values: speeds(byHand) },
      target: { kind: 'ratio at least', value: MIN_RATIO },
    },
    {
      work: `consume ${work}, CPU, ${context.database.name}`,
      unit: 'µs/msg',
      values: ours.rates.map(({ cpuMicroseconds }) => cpuMicroseconds),
      floor: { what, values: byHand.rates.map(({ cpuMicroseconds }) => cpuMicroseconds) },
    },
    {
      work: `by hand with MikroORM, ${work}, ${context.database.name}`,
      unit: 'msg/s',
      values: speeds(withOrm),
      floor: { what, values: speeds(byHand) },
    },
  ];
}

function speeds({ rates }: Way): number[] {
  return rates.map(({ messagesPerSecond }) => messagesPerSecond);
}

/** Who goes first, and who after whom, changes with each run. The run before the first warms up the compiler. */
async function alternate(
  ways: readonly Way[],
  broker: BrokerName,
  settings: ConsumerSettings,
  context: DatabaseContext,
): Promise<void> {
  const { runs } = context;
  for (let run = 0; run <= runs; run += 1) {
    for (const turn of turnsOf(ways.length, run)) {
      const { name, start, database, rates } = ways[turn]!;
      const which = run === 0 ? 'warming up' : `run ${run} of ${runs}`;
      context.progress(`${NAMES[broker]}, ${which}, ${name}`);
      const source = await openSource(broker, context);
      try {
        const rate = await rateOf(start, source, database, settings, SIZE);
        if (run > 0) rates.push(rate);
      } finally {
        await source.drop();
      }
    }
  }
}
