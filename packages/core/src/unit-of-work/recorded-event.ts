import type { HandlingPhase } from '../handlers/handling-phase.js';
import type { DomainEvent } from '../messages/event.js';

/** A domain event that waits for its handlers, and the event whose handler has recorded it. */
export class RecordedEvent {
  /** 1 for what the work itself has recorded, 2 for what a handler of that has recorded, and so on. */
  readonly depth: number;

  /** @param phase the first whose handlers have not run yet */
  constructor(
    readonly event: DomainEvent,
    readonly cause: RecordedEvent | undefined,
    readonly phase: HandlingPhase = 'before-commit',
  ) {
    this.depth = (cause?.depth ?? 0) + 1;
  }

  /** How it came to this event: `A -> B -> A` since its class was there last, or from the start if it was not. */
  describeChain(): string {
    const names = [this.event.constructor.name];
    for (let link = this.cause; link; link = link.cause) {
      names.unshift(link.event.constructor.name);
      if (link.event.constructor === this.event.constructor) break;
    }
    return names.join(' -> ');
  }
}
