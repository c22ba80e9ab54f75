import type { ModulesContainer } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import { CronJob } from 'cron';
import { v7 as uuidv7 } from 'uuid';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { findProvided } from '../find-provided.js';
import type { InboxStore } from '../consumers/inbox-store.js';
import type { ArchiveStore } from '../operations/archive-store.js';
import type { DeadLetterStore } from '../operations/dead-letter-store.js';
import { Housekeeper } from '../operations/housekeeper.js';
import { monotonicClock } from './relay-clock.js';
import { closeInTime } from '../transports/time-limit.js';
import type { OutboxRelay } from './outbox-relay.js';
import type { WakeUp } from './wake-up.js';

/**
 * Drives the relay: at once after a commit in this process, and by a cron job for all else. The job is registered with
 * @nestjs/schedule by hand, since the arguments of `@Cron` are fixed when a class is defined and can't be options.
 */
export class OutboxProducer {
  readonly #housekeeper: Housekeeper;
  #jobName: string | undefined;
  #stopListening: (() => void) | undefined;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly modules: ModulesContainer,
    private readonly relay: OutboxRelay,
    private readonly wakeUp: WakeUp,
    archive: ArchiveStore,
    inbox: InboxStore,
    deadLetters: DeadLetterStore,
  ) {
    const stores = { archive, inbox, deadLetters };
    this.#housekeeper = new Housekeeper(stores, options.housekeeping, monotonicClock, () => relay.isFirst);
  }

  /** @returns the fault, when there is no scheduler to register the job with. */
  check(): string[] {
    if (!this.options.relay || this.scheduler) return [];
    return [
      'no ScheduleModule: add ScheduleModule.forRoot() to the imports of the root module, or set relay: false',
    ];
  }

  start(): void {
    const { scheduler } = this;
    if (!this.options.relay || !scheduler) return;
    const job = CronJob.from({
      cronTime: this.options.relay.cron,
      name: 'cqrs-outbox-producer',
      onTick: () => {
        this.relay.tick();
      },
    });
    // Several applications, or several modules, may share a registry.
    this.#jobName = `cqrs-outbox-producer-${uuidv7()}`;
    scheduler.addCronJob(this.#jobName, job);
    this.#stopListening = this.wakeUp.listen((entries) => {
      this.relay.wake(entries);
    });
    this.relay.start();
    this.#housekeeper.start();
    job.start();
  }

  /** Publishes what was committed before, as far as `drainTimeoutMs` allows. */
  async stop(): Promise<void> {
    if (this.#jobName !== undefined) this.scheduler?.deleteCronJob(this.#jobName);
    this.#jobName = undefined;
    await closeInTime('the housekeeping', () => this.#housekeeper.stop());
    await this.relay.stop();
    this.#stopListening?.();
  }

  private get scheduler(): SchedulerRegistry | undefined {
    return findProvided(this.modules, SchedulerRegistry);
  }
}
