import { measureBacklog } from '../backlog/backlog.benchmark.ts';
import { measureDrain } from '../drain/drain.benchmark.ts';
import { measureLatency } from '../latency/latency.benchmark.ts';
import { measureMemory } from '../memory/memory.benchmark.ts';
import { measureRelays } from '../relays/relays.benchmark.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import { measureStrictOrder } from '../strict-order/strict-order.benchmark.ts';
import { provideServices, type ProvidedServices } from '../../test/services/provide.ts';
import { HELP, parseArguments, type BenchArguments, type BenchmarkName } from './arguments.ts';
import type { Measurement } from './measurement.ts';
import { Progress } from './progress.ts';
import { jsonOf, tableOf } from './report.ts';

type Benchmark = (context: BenchContext) => Promise<Measurement[]>;

const BENCHMARKS: Readonly<Record<BenchmarkName, Benchmark>> = {
  drain: measureDrain,
  latency: measureLatency,
  memory: measureMemory,
  'strict-order': measureStrictOrder,
  relays: measureRelays,
  backlog: measureBacklog,
};

/** @returns the exit code: 1 when a benchmark could not be run, or lost a message; a missed target is no failure */
export async function main(args: readonly string[]): Promise<number> {
  const progress = new Progress();
  let services: ProvidedServices | undefined;
  try {
    const settings = parseArguments(args);
    if (settings === 'help') {
      console.log(HELP);
      return 0;
    }
    progress.step(`looking for kafka, ${settings.databases.join(', ')}, starting what is not there`);
    services = await provideServices(['kafka', ...settings.databases]);
    const measurements = await measureAll(settings, services, progress);
    progress.end();
    console.log(settings.json ? jsonOf(measurements, settings) : tableOf(measurements));
    return 0;
  } catch (error) {
    progress.end();
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    return 1;
  } finally {
    await services?.stop();
  }
}

async function measureAll(
  { only, databases, runs, entries }: BenchArguments,
  services: ProvidedServices,
  progress: Progress,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const name of only) {
    for (const database of databases) {
      const context: BenchContext = {
        runs,
        entries,
        database: { name: database, url: urlOf(services, database) },
        brokers: urlOf(services, 'kafka').split(','),
        progress: (text) => progress.step(`${name}, ${database}: ${text}`),
      };
      measurements.push(...(await BENCHMARKS[name](context)));
    }
  }
  return measurements;
}

function urlOf({ found, missing }: ProvidedServices, name: DatabaseName | 'kafka'): string {
  const service = found.find((candidate) => candidate.name === name);
  if (service) return service.url;
  const reason = missing.find((candidate) => candidate.name === name)?.reason;
  throw new Error(`The benchmark needs ${name}: ${reason}. --database names the databases to use.`);
}
