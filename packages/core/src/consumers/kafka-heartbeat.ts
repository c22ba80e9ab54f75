import type { KafkaContext } from '@nestjs/microservices';
import type { RelayClock } from '../relay/relay-clock.js';
import type { Keeper } from './keeper.js';

/** kafkajs sends one at most in each `heartbeatInterval` (3 seconds unless configured): asking oftener costs nothing. */
const BEAT_MS = 1_000;

/**
 * Tells Kafka that this consumer lives while a message is handled for longer than the session may be silent. kafkajs
 * itself beats between two messages only. One that fails says that the partition has, or will have, another owner.
 */
export class KafkaHeartbeat implements Keeper {
  #isStopped = false;
  #cancel: (() => void) | undefined;

  constructor(
    private readonly context: KafkaContext,
    private readonly clock: RelayClock,
  ) {}

  start(onLost: (cause: unknown) => void): void {
    this.#cancel = this.clock.setTimer(() => void this.beat(onLost), BEAT_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Goes on after a failure: while the group is being divided anew, it still keeps this member in it. */
  private async beat(onLost: (cause: unknown) => void): Promise<void> {
    try {
      await this.context.getHeartbeat()();
    } catch (error) {
      onLost(error);
    }
    if (!this.#isStopped) this.start(onLost);
  }
}
