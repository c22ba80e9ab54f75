// Drains a backlog in a process of its own, and prints how it went on and what memory it took meanwhile, as JSON.
// Arguments: the database, its URL and name, the brokers, and by which client.
import { subscribe } from 'node:diagnostics_channel';
import { memoryUsage } from 'node:process';
import { OUTBOX_CHANNELS, OutboxRelay, type BatchDiagnostic } from '@cqrs-outbox/core';
import { kafkaOption, type KafkaClientName } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import { driverOf } from '../servers/driver-of.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { DrainReport, MemorySample, PublishedBatch } from './drain-report.ts';

const PERIOD_MS = 25;

const [database, clientUrl, dbName, brokers, client] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
  KafkaClientName,
];
const samples: MemorySample[] = [];
const batches: PublishedBatch[] = [];
let startedAt: number | undefined;
let total = 0;
let heapBefore = 0;
let timer: NodeJS.Timeout | undefined;

const leased = new Promise<void>((resolve) => {
  subscribe(OUTBOX_CHANNELS.leaseGained.name, () => resolve());
});
subscribe(OUTBOX_CHANNELS.publishing.name, () => {
  startedAt ??= performance.now();
});
subscribe(OUTBOX_CHANNELS.published.name, (message) => {
  total += (message as BatchDiagnostic).entries.length;
  batches.push({ at: performance.now() - (startedAt ?? NaN), total });
});

const app = await startApp({
  ormOptions: { driver: await driverOf(database), clientUrl, dbName },
  transport: await kafkaOption(brokers.split(','), client),
  // From here on: what the boot took is not the drain's.
  onStartup: () => {
    heapBefore = heapInUse();
    timer = setInterval(() => {
      const { rss, heapUsed } = memoryUsage();
      samples.push({ rss, heapUsed });
    }, PERIOD_MS);
  },
});
// Without slots there would be nothing to do. It takes turns with the relay's own work, which the boot has started.
await leased;
await app.get(OutboxRelay, { strict: false }).runOnce();
clearInterval(timer);
const report: DrainReport = { batches, samples, heapBefore, heapAfter: heapInUse() };
await app.close();
process.stdout.write(JSON.stringify(report));

/** What is left after a garbage collection. */
function heapInUse(): number {
  if (!global.gc) throw new Error('Start this process with --expose-gc');
  global.gc();
  return memoryUsage().heapUsed;
}
