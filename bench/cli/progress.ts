/** Says on stderr what is being done: one line that changes on a terminal, one line for each step elsewhere. */
export class Progress {
  readonly #stream = process.stderr;
  readonly #startedAt = performance.now();

  step(text: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(0);
    this.write(`[${seconds} s] ${text}`);
  }

  end(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1B[K');
  }

  private write(line: string): void {
    if (this.#stream.isTTY) this.#stream.write(`\r\x1B[K${line.slice(0, this.#stream.columns - 1)}`);
    else this.#stream.write(`${line}\n`);
  }
}
