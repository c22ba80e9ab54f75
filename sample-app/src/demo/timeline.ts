export type Stage =
  | 'request'
  | 'command'
  | 'commit'
  | 'rejected'
  | 'response'
  | 'row'
  | 'published'
  | 'consumed'
  | 'read model'
  | 'settled';

interface Mark {
  readonly stage: Stage;
  readonly detail: string;
  readonly atMs: number;
}

/** What happened since the last start, in the order in which it happened. */
export class Timeline {
  #marks: Mark[] = [];
  #startedAt = 0;

  start(detail: string): void {
    this.#marks = [];
    this.#startedAt = performance.now();
    this.mark('request', detail);
  }

  mark(stage: Stage, detail: string): void {
    this.#marks.push({ stage, detail, atMs: performance.now() - this.#startedAt });
  }

  toString(): string {
    const lines = this.#marks.map(
      ({ stage, detail, atMs }) => `${atMs.toFixed(1).padStart(8)} ms  ${stage.padEnd(12)}${detail}`,
    );
    return lines.join('\n');
  }
}
