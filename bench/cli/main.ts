import type { ServiceName } from '../../test/services/service.ts';
import { provideServices, type ProvidedServices } from '../../test/services/provide.ts';
import { writeDocs } from '../plot/write-docs.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import { HELP, parseArguments, type BenchArguments } from './arguments.ts';
import type { Benchmark } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import type { Measurement } from './measurement.ts';
import { Progress } from './progress.ts';
import { reportOf, type BenchmarkReport } from './report.ts';
import { tableOf } from './table.ts';

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
    const needed = servicesOf(settings);
    if (needed.length > 0) progress.step(`looking for ${needed.join(', ')}, starting what is not there`);
    services = await provideServices(needed);
    const reports = await measureAll(settings, services, args, progress);
    progress.end();
    if (settings.json) console.log(JSON.stringify({ machine: describeMachine(), reports }, undefined, 2));
    else console.log(tableOf(reports));
    if (settings.plot) await writeDocs(reports);
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
  settings: BenchArguments,
  services: ProvidedServices,
  args: readonly string[],
  progress: Progress,
): Promise<BenchmarkReport[]> {
  const reports: BenchmarkReport[] = [];
  const command = ['npm run bench --', ...args.filter((arg) => arg !== '--plot' && arg !== '--json')].join(
    ' ',
  );
  for (const benchmark of settings.only) {
    const measurements = await measure(benchmark, settings, services, progress);
    reports.push(reportOf(benchmark.name, command, settings.runs, measurements));
  }
  return reports;
}

async function measure(
  benchmark: Benchmark,
  settings: BenchArguments,
  services: ProvidedServices,
  progress: Progress,
): Promise<Measurement[]> {
  const { name, brokers } = benchmark;
  const contextOf = (what: string): BenchContext => ({
    runs: settings.runs,
    entries: settings.entries,
    brokers: brokers.includes('kafka') ? urlOf(services, 'kafka').split(',') : [],
    amqpUrl: brokers.includes('rabbitmq') ? urlOf(services, 'rabbitmq') : '',
    progress: (text) => progress.step(`${what}: ${text}`),
  });
  if (!benchmark.databases) return benchmark.measure(contextOf(name));
  const measurements: Measurement[] = [];
  for (const database of databasesOf(benchmark, settings)) {
    const url = isServer(database) ? urlOf(services, database) : '';
    const context = { ...contextOf(`${name}, ${database}`), database: { name: database, url } };
    measurements.push(...(await benchmark.measure(context)));
  }
  return measurements;
}

function databasesOf({ databases = [] }: Benchmark, settings: BenchArguments): DatabaseName[] {
  return databases.filter((database) => settings.databases.includes(database));
}

/** What the benchmarks need that were asked for, each once. */
function servicesOf(settings: BenchArguments): ServiceName[] {
  return [
    ...new Set(
      settings.only.flatMap((benchmark) => [
        ...benchmark.brokers,
        ...databasesOf(benchmark, settings).filter(isServer),
      ]),
    ),
  ];
}

function isServer(database: DatabaseName): database is Exclude<DatabaseName, 'libsql'> {
  return database !== 'libsql';
}

function urlOf({ found, missing }: ProvidedServices, name: ServiceName): string {
  const service = found.find((candidate) => candidate.name === name);
  if (service) return service.url;
  const reason = missing.find((candidate) => candidate.name === name)?.reason;
  throw new Error(`The benchmark needs ${name}: ${reason}. --database names the databases to use.`);
}
