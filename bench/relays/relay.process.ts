// One of several relays on one outbox, in a process of its own that bench/relays/relay-process.ts has started.
// Arguments: the database, its URL and name, the brokers. It ends when it is told to, or when its parent is gone.
import { subscribe } from 'node:diagnostics_channel';
import { OUTBOX_CHANNELS, OutboxRelay, type BatchDiagnostic, type LeaseDiagnostic } from '@cqrs-outbox/core';
import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import { driverOf } from '../servers/driver-of.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { RelayProcessMessage } from './relay-process.ts';

const [database, clientUrl, dbName, brokers] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
];
const slots = new Set<number>();
let published = 0;

subscribe(OUTBOX_CHANNELS.leaseGained.name, (message) => {
  for (const slot of (message as LeaseDiagnostic).slots) slots.add(slot);
  tell({ kind: 'slots', count: slots.size });
});
subscribe(OUTBOX_CHANNELS.leaseLost.name, (message) => {
  for (const slot of (message as LeaseDiagnostic).slots) slots.delete(slot);
  tell({ kind: 'slots', count: slots.size });
});
subscribe(OUTBOX_CHANNELS.published.name, (message) => {
  published += (message as BatchDiagnostic).entries.length;
});

const app = await startApp({
  ormOptions: { driver: await driverOf(database), clientUrl, dbName },
  transport: await kafkaOption(brokers.split(',')),
});
const relay = app.get(OutboxRelay, { strict: false });

process.on('message', () => void drain());
process.once('disconnect', () => void app.close());

/** Until there is nothing left in the slots of this process. */
async function drain(): Promise<void> {
  const [before, cpuBefore] = [published, process.cpuUsage()];
  await relay.runOnce();
  const { user, system } = process.cpuUsage(cpuBefore);
  tell({ kind: 'drained', published: published - before, cpuMicroseconds: user + system });
}

function tell(message: RelayProcessMessage): void {
  // The parent has gone before the slots were given back.
  if (process.connected) process.send?.(message);
}
