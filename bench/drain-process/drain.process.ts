// Drains a backlog in a process of its own, and prints how it went on and what memory it took meanwhile, as JSON.
// Arguments: the database, its URL and name, the brokers, the topic, and by which client.
import { subscribe } from 'node:diagnostics_channel';
import { OUTBOX_CHANNELS, OutboxRelay, type BatchDiagnostic } from '@cqrs-outbox/core';
import { kafkaOption, type KafkaClientName } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import { driverOf } from '../servers/driver-of.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import { DrainRecorder } from './drain-recorder.ts';

const [database, clientUrl, dbName, brokers, , client] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
  string,
  KafkaClientName,
];
const recorder = new DrainRecorder();
const leased = new Promise<void>((resolve) => {
  subscribe(OUTBOX_CHANNELS.leaseGained.name, () => resolve());
});
subscribe(OUTBOX_CHANNELS.publishing.name, () => recorder.publishing());
subscribe(OUTBOX_CHANNELS.published.name, (message) => {
  recorder.published((message as BatchDiagnostic).entries.length);
});

const app = await startApp({
  ormOptions: { driver: await driverOf(database), clientUrl, dbName },
  transport: await kafkaOption(brokers.split(','), client),
  onStartup: () => recorder.start(),
});
// Without slots there would be nothing to do. It takes turns with the relay's own work, which the boot has started.
await leased;
await app.get(OutboxRelay, { strict: false }).runOnce();
const report = recorder.end();
await app.close();
process.stdout.write(JSON.stringify(report));
