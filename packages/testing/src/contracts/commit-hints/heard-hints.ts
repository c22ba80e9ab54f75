import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

const LIMIT_MS = 5_000;
const LOOK_MS = 5;

/** What one end has heard. */
export class HeardHints {
  readonly all: string[] = [];
  #isLost = false;

  readonly onHint = (hint: string): void => void this.all.push(hint);

  readonly onLost = (): void => {
    this.#isLost = true;
  };

  /** Resolves when this one was heard. */
  async hear(hint: string): Promise<void> {
    await until(() => this.all.includes(hint));
    assert.ok(this.all.includes(hint), `${hint} was not heard, but ${JSON.stringify(this.all)}`);
  }

  /** Resolves when it was told that nothing will be heard any more. */
  async lose(): Promise<void> {
    await until(() => this.#isLost);
    assert.ok(this.#isLost, 'onLost was not called');
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!condition() && performance.now() < deadline) await delay(LOOK_MS);
}
