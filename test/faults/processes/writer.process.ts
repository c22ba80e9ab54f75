import { EventLog } from '../history/event-log.ts';
import type { WriterRecord } from '../history/records.ts';
import { START_AGAIN, readSettings, type WriterCommand } from './settings.ts';
import { startApp } from './start-app.ts';
import { HAPPENED } from './topology.ts';
import { Writer } from './writer.ts';

/** Concurrent transactions of one process. */
const HANDS = 3;
/** Longer than any fault but an outage of the database, and that ends transactions with an error. */
const HANG_LIMIT_MS = 9_000;
const LOOK_MS = 500;
const CLOSE_LIMIT_MS = 3_000;

const settings = readSettings();
const history = new EventLog<WriterRecord>(settings.historyFile);
const app = await startApp(settings, false).catch((error: unknown) => {
  console.error(error);
  process.exit(START_AGAIN);
});
const writer = new Writer(app, history);
process.send?.('ready');

process.on('message', (message: WriterCommand) => {
  if (message.command === 'stop') {
    writer.isStopping = true;
    return;
  }
  const { key, name, fate, payloadBytes } = message;
  const refusable = { name, fate, payloadBytes };
  const ordinary = { name: HAPPENED, fate: 'arrives', payloadBytes: 0 } as const;
  writer.insist(key, [ordinary, ordinary, refusable, ordinary, ordinary]).catch(fail);
});
process.once('disconnect', () => process.exit(0));

// Kysely (0.29) does not give a connection back to the pool whose `begin` or `rollback` has failed: after some restarts of
// the database the pool is empty for good, and only a restart of the process helps. It is not what is tested here.
let lastSeen = performance.now();
let lastLook = performance.now();
setInterval(() => {
  const now = performance.now();
  // Looks were left out while the process was frozen.
  const wasFrozen = now - lastLook > 2 * LOOK_MS;
  lastLook = now;
  if (writer.takeProgress() || wasFrozen) lastSeen = now;
  if (now - lastSeen > HANG_LIMIT_MS) process.exit(START_AGAIN);
}, LOOK_MS).unref();

Promise.all(Array.from({ length: HANDS }, () => writer.work())).then(() => {
  setTimeout(() => process.exit(0), CLOSE_LIMIT_MS).unref();
  app.close().then(() => process.exit(0), fail);
}, fail);

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
