import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { AppendingTransactions } from './appending-transactions.ts';
import { PlainlyNoted, StrictlyNoted, type NotedClass } from './events.ts';

/** Which keys the transactions have that are open at the same time. */
interface Keys {
  readonly what: string;
  readonly keyOf: (index: number) => string;
}

const KEYS: readonly Keys[] = [
  { what: 'each of another key', keyOf: (index) => `key-${index}` },
  { what: 'all of one key', keyOf: () => 'key' },
];

/** Transactions per second of each run. */
interface Rates {
  readonly plain: number[];
  readonly strict: number[];
}

/** What `strictOrder` costs the transactions that append; no relay runs meanwhile. */
export async function measureStrictOrder(context: DatabaseContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const { ormOptions } = database;
  const app = await startApp({
    ormOptions,
    transport: await kafkaOption(context.brokers),
    options: { relay: false },
  });
  const transactions = new AppendingTransactions(app, database);
  const measurements: Measurement[] = [];
  try {
    for (const keys of KEYS) {
      const { plain, strict } = await alternate(transactions, keys, context);
      measurements.push({
        work: `strictOrder, ${keys.what}, ${context.database.name}`,
        unit: 'tx/s',
        values: strict,
        floor: { what: 'strictOrder: the same without it', values: plain },
      });
    }
  } finally {
    await app.close();
    await database.drop();
  }
  return measurements;
}

/** Who goes first changes with each run. The run before the first warms up connections and compiler. */
async function alternate(
  transactions: AppendingTransactions,
  { what, keyOf }: Keys,
  { runs, progress }: DatabaseContext,
): Promise<Rates> {
  const rates: Rates = { plain: [], strict: [] };
  const measure = async (event: NotedClass): Promise<number> => transactions.rateOf(event, keyOf);
  for (let run = 0; run <= runs; run += 1) {
    progress(run === 0 ? `${what}, warming up` : `${what}, run ${run} of ${runs}`);
    const order = [PlainlyNoted, StrictlyNoted];
    for (const event of run % 2 === 0 ? order : order.toReversed()) {
      const rate = await measure(event);
      if (run > 0) (event === StrictlyNoted ? rates.strict : rates.plain).push(rate);
    }
  }
  return rates;
}
