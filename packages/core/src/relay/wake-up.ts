import { Injectable } from '@nestjs/common';

/** Called with the destinations that have new entries. */
export type WakeUpListener = (destinations: Iterable<string>) => void;

/** Carries the news of a commit from the unit of work to the relay of the same process. */
@Injectable()
export class WakeUp {
  #listener: WakeUpListener | undefined;

  setListener(listener: WakeUpListener | undefined): void {
    this.#listener = listener;
  }

  signal(destinations: Iterable<string>): void {
    this.#listener?.(destinations);
  }
}
