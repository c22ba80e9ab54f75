import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventLog, monotonicMs } from '../history/event-log.ts';
import type { RelayRecord } from '../history/records.ts';
import { recordDiagnostics } from './record-diagnostics.ts';
import { START_AGAIN, readSettings, type RelayCommand } from './settings.ts';
import { shiftClock } from './shiftable-clock.ts';
import { startApp } from './start-app.ts';

const settings = readSettings();
const history = new EventLog<RelayRecord>(settings.historyFile);
recordDiagnostics(history);

process.on('message', (message: RelayCommand) => {
  if (message.command === 'shift clock') shiftClock(message.byMs);
  else signalYourself(message);
});

const starting = startApp(settings, {
  leaseMs: settings.leaseMs,
  publishTimeoutMs: 4_000,
  maxAttempts: 12,
  maxBackoffMs: 2_000,
});
process.once('SIGTERM', () => void leave().then(() => process.exit(0), fail));
// The channel to the run keeps this process alive no longer than the run itself.
process.once('disconnect', () => process.exit(1));

await starting.catch((error: unknown) => {
  console.error(error);
  process.exit(START_AGAIN);
});
history.append({ type: 'started' });
process.send?.('ready');

/** Also in the middle of the boot, as soon as that is done. */
async function leave(): Promise<void> {
  const app = await starting;
  history.append({ type: 'stopping' });
  await app.close();
  history.append({ type: 'stopped' });
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

/** Subscribed after the history, which has been written by then: the batch is the last one, or is interrupted. */
function signalYourself({ signal, moment, until }: RelayCommand & { command: 'signal yourself' }): void {
  const hit = (): void => {
    unsubscribe(`cqrs-outbox:${moment}`, hit);
    if (monotonicMs() < until) process.kill(process.pid, signal);
  };
  subscribe(`cqrs-outbox:${moment}`, hit);
}
