import type { Message, PublishResult } from '@cqrs-outbox/core';

/** The broker: what has arrived, in that order, and what it has refused. */
export class Broker {
  readonly arrivals: string[] = [];
  readonly #arrived = new Set<string>();
  readonly #refusals = new Map<string, number>();
  readonly #refusedForGood = new Set<string>();
  /** How often it is going to refuse a message, whoever sends it. */
  readonly poison = new Map<string, number>();

  has(id: string): boolean {
    return this.#arrived.has(id);
  }

  refusalsOf(id: string): number {
    return this.#refusals.get(id) ?? 0;
  }

  isRefusedForGood(id: string): boolean {
    return this.#refusedForGood.has(id);
  }

  take(message: Message): PublishResult {
    if (this.refusalsOf(message.id) < (this.poison.get(message.id) ?? 0)) return this.refuse(message);
    this.arrivals.push(message.id);
    this.#arrived.add(message.id);
    return { status: 'published' };
  }

  refuse({ id }: Message, permanent = false): PublishResult {
    this.#refusals.set(id, this.refusalsOf(id) + 1);
    if (permanent) this.#refusedForGood.add(id);
    return { status: 'refused', error: new Error('Refused by the model'), permanent };
  }
}
