// The relay of bench/hint, in a process of its own: it tells its parent when the broker has acknowledged what.
// Arguments: the database, its URL and name, the brokers, whether it listens for hints (`hints` or `tick`).
// It ends when its parent is gone, or lets it go.
import { subscribe } from 'node:diagnostics_channel';
import { OUTBOX_CHANNELS, type BatchDiagnostic } from '@cqrs-outbox/core';
import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import { driverOf } from '../servers/driver-of.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { HintedRelayMessage } from './hinted-relay.ts';
import { monotonicMs } from './monotonic.ts';

const [database, clientUrl, dbName, brokers, mode] = process.argv.slice(2) as [
  DatabaseName,
  string,
  string,
  string,
  'hints' | 'tick',
];

subscribe(OUTBOX_CHANNELS.leaseGained.name, () => tell({ kind: 'leased' }));
// Told right after the acknowledgement, before the DELETE.
subscribe(OUTBOX_CHANNELS.published.name, (message) => {
  const at = monotonicMs();
  for (const { key } of (message as BatchDiagnostic).entries) tell({ kind: 'acknowledged', key, at });
});

const app = await startApp({
  ormOptions: { driver: await driverOf(database), clientUrl, dbName },
  transport: await kafkaOption(brokers.split(',')),
  options: { commitHints: mode === 'hints' },
});

process.once('disconnect', () => void app.close());

function tell(message: HintedRelayMessage): void {
  // The parent has gone before the last entries were published.
  if (process.connected) process.send?.(message);
}
