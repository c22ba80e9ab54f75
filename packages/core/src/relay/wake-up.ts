import { Injectable } from '@nestjs/common';
import type { OutboxEntry } from '../outbox/outbox-entry.js';

/** Called with entries that were committed just now. */
export type WakeUpListener = (entries: readonly OutboxEntry[]) => void;

/** Carries the news of a commit from the unit of work to the relay of the same process. */
@Injectable()
export class WakeUp {
  #listener: WakeUpListener | undefined;

  setListener(listener: WakeUpListener | undefined): void {
    this.#listener = listener;
  }

  signal(entries: readonly OutboxEntry[]): void {
    this.#listener?.(entries);
  }
}
