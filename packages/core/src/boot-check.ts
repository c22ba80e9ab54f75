import { Logger } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { ConfigurationError, CqrsOutboxError, messageOf } from './cqrs-outbox.error.js';
import type { ResolvedOptions } from './cqrs-outbox.options.js';
import { MODULE_FAULTS } from './cqrs-outbox.module-definition.js';
import type { EventMap } from './handlers/event-map.js';
import type { HandlersExplorer } from './handlers/handlers.explorer.js';
import type { Enhancers } from './mediators/enhancers.js';
import { destinationsOf } from './outbox/destinations.js';
import type { OutboxStore } from './outbox/outbox-store.js';
import type { ProcessHints } from './relay/hints/process-hints.js';
import type { OutboxProducer } from './relay/outbox-producer.js';
import type { Tracing } from './tracing/tracing.js';
import type { Transports } from './transports/transports.js';

/** Loads all that is configured or discovered, and stops the boot with every fault that it finds in one error. */
export class BootCheck {
  readonly #logger = new Logger('CqrsOutbox');

  constructor(
    private readonly options: ResolvedOptions,
    private readonly moduleFaults: readonly string[],
    private readonly modules: ModulesContainer,
    private readonly explorer: HandlersExplorer,
    private readonly events: EventMap,
    private readonly enhancers: Enhancers,
    private readonly transports: Transports,
    private readonly producer: OutboxProducer,
    private readonly hints: ProcessHints,
    private readonly store: OutboxStore,
    private readonly tracing: Tracing,
  ) {}

  /**
   * @throws {@link ConfigurationError} with all faults
   * @throws {@link CqrsOutboxError} with code `SCHEMA_MISSING` or `SCHEMA_VERSION`
   */
  async run(): Promise<void> {
    await this.tracing.load();
    const faults = [
      ...this.options.faults,
      ...this.moduleFaults,
      ...this.repetitionFaults(),
      ...this.explorer.explore(),
      ...this.eventFaults(),
      ...this.transports.load(),
      ...this.producer.check(),
      ...this.hints.load(),
      ...(await this.enhancers.load(this.options.enhancers)),
    ];
    if (faults.length > 0) throw new ConfigurationError(faults);
    await this.checkSchema();
  }

  /** Two modules would be two relays of one outbox, and their handlers would be found twice. */
  private repetitionFaults(): string[] {
    const ours = [...this.modules.values()].filter(({ providers }) => providers.has(MODULE_FAULTS));
    const times = ours.length;
    return times > 1
      ? [`CqrsOutboxModule is configured ${times} times: call forRoot once, in the root module`]
      : [];
  }

  /** Classes that are only consumed may be declared for destinations of their publisher: those are not checked. */
  private eventFaults(): string[] {
    return this.options.events.flatMap((eventClass) => {
      try {
        const declaration = this.events.declare(eventClass);
        const known = [...this.options.transports.keys()].join(', ');
        return destinationsOf(declaration, this.options).unknown.map(
          (destination) =>
            `${declaration.name} is for the destination ${destination}, but transport names ${known}`,
        );
      } catch (error) {
        return [`events: ${messageOf(error)}`];
      }
    });
  }

  /** A database that is down now may be up soon: only what it says for certain stops the boot. */
  private async checkSchema(): Promise<void> {
    try {
      await this.store.checkSchema();
    } catch (error) {
      if (error instanceof CqrsOutboxError) throw error;
      this.#logger.warn(`The outbox tables could not be checked: ${messageOf(error)}`);
    }
  }
}
