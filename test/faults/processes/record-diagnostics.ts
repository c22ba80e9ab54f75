import { subscribe } from 'node:diagnostics_channel';
import type { EventLog } from '../history/event-log.ts';
import type { RelayRecord } from '../history/records.ts';

/** The messages of the relay's channels, as far as they are used here. */
interface Diagnostic {
  readonly instance?: string;
  readonly entries?: readonly { readonly id: string }[];
  readonly entry?: { readonly id: string };
  readonly error?: unknown;
  readonly slots?: readonly number[];
}

/** Writes down what the relay of this process tells on its channels. */
export function recordDiagnostics(history: EventLog<RelayRecord>): void {
  const record = (channel: string, toRecord: (message: Diagnostic) => RelayRecord): void =>
    subscribe(`cqrs-outbox:${channel}`, (message) => {
      const { instance } = message as Diagnostic;
      history.append({ instance, ...toRecord(message as Diagnostic) });
    });
  for (const type of ['publishing', 'published'] as const) {
    record(type, ({ entries = [] }) => ({ type, ids: entries.map(({ id }) => id) }));
  }
  for (const type of ['parked', 'dead-lettered'] as const) {
    record(type, ({ entry, error }) => ({ type, id: entry!.id, error: String(error) }));
  }
  record('failed', ({ error }) => ({ type: 'failed', error: String(error) }));
  record('lease-gained', ({ slots = [] }) => ({ type: 'gained', slots }));
  record('lease-lost', ({ slots = [] }) => ({ type: 'lost', slots }));
}
