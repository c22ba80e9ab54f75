import { appendFileSync, readFileSync, existsSync } from 'node:fs';

/** Milliseconds of the machine's monotonic clock, the same for all processes on it and for ever unshifted. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** One JSON object a line, written at once and synchronously: a SIGKILL loses none that came before it. */
export class EventLog<T extends object> {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  append(record: T): void {
    appendFileSync(this.#file, `${JSON.stringify({ t: monotonicMs(), ...record })}\n`);
  }
}

/** What was logged; a last line that was cut by a kill is left out. */
export function readLog<T extends object>(file: string): (T & { t: number })[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as T & { t: number });
}
