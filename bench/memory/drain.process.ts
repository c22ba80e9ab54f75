// Drains a backlog in a process of its own, and prints what memory it took meanwhile, as JSON.
// Arguments: the database, its URL and name, the brokers.
import { memoryUsage } from 'node:process';
import { OutboxRelay } from '@cqrs-outbox/core';
import { kafkaOption, startApp } from '../app/start-app.ts';
import { driverOf } from '../servers/create-outbox-database.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { MemoryReport, MemorySample } from './memory.benchmark.ts';

const PERIOD_MS = 25;

const [database, clientUrl, dbName, brokers] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
];
const samples: MemorySample[] = [];
let heapBefore = 0;
let timer: NodeJS.Timeout | undefined;

const app = await startApp({
  ormOptions: { driver: driverOf(database), clientUrl, dbName },
  transport: kafkaOption(brokers.split(',')),
  // From here on: what the boot took is not the drain's.
  onStartup: () => {
    heapBefore = heapInUse();
    timer = setInterval(() => {
      const { rss, heapUsed } = memoryUsage();
      samples.push({ rss, heapUsed });
    }, PERIOD_MS);
  },
});
// Comes after the relay's own first pass, which the boot has started.
await app.get(OutboxRelay, { strict: false }).runOnce();
clearInterval(timer);
const report: MemoryReport = { samples, heapBefore, heapAfter: heapInUse() };
await app.close();
process.stdout.write(JSON.stringify(report));

/** What is left after a garbage collection. */
function heapInUse(): number {
  if (!global.gc) throw new Error('Start this process with --expose-gc');
  global.gc();
  return memoryUsage().heapUsed;
}
