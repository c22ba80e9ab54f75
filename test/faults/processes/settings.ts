import type { PairName } from '../plan/fault.ts';

/** What a process is told at its start, in an environment variable. */
export interface ProcessSettings {
  readonly pair: PairName;
  readonly name: string;
  readonly historyFile: string;
  /** By its own proxy. */
  readonly databaseUrl: string;
  readonly dbName: string;
  /** By its own proxy. */
  readonly brokerPort: number;
  readonly leaseMs: number;
}

const VARIABLE = 'FAULTS_PROCESS';

export function environmentOf(settings: ProcessSettings): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(settings) };
}

export function readSettings(): ProcessSettings {
  const text = process.env[VARIABLE];
  if (!text) throw new Error(`${VARIABLE} is not set: the fault suite starts this program, not a person.`);
  return JSON.parse(text) as ProcessSettings;
}

/** The exit code of a process that wants to be started again, as an orchestrator would do: it could not boot, or it hangs. */
export const START_AGAIN = 75;

/** What the run tells a relay. */
export type RelayCommand =
  /** Sends itself this signal in the middle of its next batch, unless that comes too late. */
  | {
      readonly command: 'signal yourself';
      readonly signal: 'SIGKILL' | 'SIGSTOP';
      readonly moment: 'publishing' | 'published';
      /** By the monotonic clock: after that the run has sent the signal itself, and may have taken it back. */
      readonly until: number;
    }
  | { readonly command: 'shift clock'; readonly byMs: number };

/** What the run tells a writer. */
export type WriterCommand =
  /** Commits a few events of this key, one of them with this fate. */
  | {
      readonly command: 'append refusable';
      readonly key: string;
      readonly name: string;
      readonly fate: 'refused' | 'doomed';
      readonly payloadBytes: number;
    }
  | { readonly command: 'stop' };
