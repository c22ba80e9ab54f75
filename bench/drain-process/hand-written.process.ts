// The same by the hand-written loop, with nothing loaded but the driver and kafkajs. Arguments: see drain.process.ts.
import { Kafka } from 'kafkajs';
import { drainByHand } from '../drain/hand-written-loop.ts';
import { produceByHand } from '../drain/produce-by-hand.ts';
import { clientConfig } from '../servers/kafka-client-config.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { OutboxRows } from '../servers/outbox-rows.ts';
import { DrainRecorder } from './drain-recorder.ts';

const [database, url, dbName, brokers, topic] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
  string,
];
const rows = await openRows();
const producer = new Kafka(clientConfig(brokers.split(','))).producer();
await producer.connect();
const recorder = new DrainRecorder();
recorder.start();
await drainByHand(rows, async (batch) => {
  recorder.publishing();
  await produceByHand(batch, producer, topic);
  recorder.published(batch.length);
});
const report = recorder.end();
await producer.disconnect();
await rows.close();
process.stdout.write(JSON.stringify(report));

/** Loads one driver alone. */
async function openRows(): Promise<OutboxRows> {
  if (database === 'mariadb') {
    const { MariaDbRows } = await import('../servers/mariadb-rows.ts');
    return new MariaDbRows(url, dbName);
  }
  const { PostgresRows } = await import('../servers/postgres-rows.ts');
  return new PostgresRows(url, dbName);
}
