import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outbox } from '@cqrs-outbox/core';
import { MikroORM, raw, type EntityManager } from '@mikro-orm/core';
import type { INestApplicationContext } from '@nestjs/common';
import type { EventLog } from '../history/event-log.ts';
import type { Fate, WriterRecord } from '../history/records.ts';
import { Counter, eventClassOf, Happening } from './domain.ts';
import { HAPPENED, ordinaryKeys } from './topology.ts';

/** An event to append. */
export interface Intent {
  readonly name: string;
  readonly fate: Fate;
  readonly payloadBytes: number;
}

const ORDINARY: Intent = { name: HAPPENED, fate: 'arrives', payloadBytes: 0 };
/** Rolls a transaction or savepoint back. */
class ChangeOfMind extends Error {}

/** Commits business rows and events, and goes on whatever the database does. */
export class Writer {
  isStopping = false;
  readonly #outbox: Outbox;
  #progress = 0;
  readonly #em: EntityManager;
  readonly #keys = ordinaryKeys();

  readonly #history: EventLog<WriterRecord>;

  constructor(app: INestApplicationContext, history: EventLog<WriterRecord>) {
    this.#history = history;
    this.#outbox = app.get(Outbox);
    this.#em = app.get(MikroORM).em;
  }

  /** How many transactions have ended, well or not, since it was asked the last time. */
  takeProgress(): number {
    const progress = this.#progress;
    this.#progress = 0;
    return progress;
  }

  /** One transaction after another until the writer stops. */
  async work(): Promise<void> {
    while (!this.isStopping) {
      await this.#attempt((em, tokens) => this.#happen(em, tokens));
      await sleep(Math.random() * PAUSE_MS);
    }
  }

  /** One transaction, tried until it is known to be committed. After an unknown outcome all its events come twice, which is fine. */
  async insist(key: string, intents: readonly Intent[]): Promise<void> {
    while (!(await this.#attempt((em, tokens) => this.#append(em, key, intents, tokens)))) await sleep(200);
  }

  async #attempt(work: (em: EntityManager, tokens: string[]) => Promise<void>): Promise<boolean> {
    const tokens: string[] = [];
    try {
      await this.#em.fork().transactional((em) => work(em, tokens));
      this.#history.append({ outcome: 'committed', tokens });
      return true;
    } catch (error) {
      const outcome = error instanceof ChangeOfMind ? 'rolled back' : 'unknown';
      this.#history.append({ outcome, tokens, error: String(error) });
      if (outcome === 'unknown') await sleep(RETRY_MS);
      return false;
    } finally {
      this.#progress++;
    }
  }

  /** What a transaction does: one or two keys, one event or several, sometimes a savepoint, sometimes all for nothing. */
  async #happen(em: EntityManager, tokens: string[]): Promise<void> {
    const keys = [this.#anyKey(), ...(chance(0.2) ? [this.#anyKey()] : [])];
    // In one order for all, so that writers do not deadlock each other.
    for (const key of [...new Set(keys)].sort()) {
      await this.#append(em, key, Array<Intent>(chance(0.3) ? 3 : 1).fill(ORDINARY), tokens);
      if (chance(0.15)) await this.#savepoint(em, key, tokens);
    }
    if (chance(0.1)) throw new ChangeOfMind();
  }

  /** Half of them are rolled back, and with them their events, and their numbers, which the next ones then have. */
  async #savepoint(em: EntityManager, key: string, tokens: string[]): Promise<void> {
    const inner: string[] = [];
    try {
      await em.transactional(async (nested) => {
        await this.#append(nested, key, [ORDINARY], inner);
        if (chance(0.5)) throw new ChangeOfMind();
      });
      tokens.push(...inner);
    } catch (error) {
      if (!(error instanceof ChangeOfMind)) throw error;
    }
  }

  /** The update is blind: it reads nothing before, and locks the key's row until the commit. */
  async #append(em: EntityManager, key: string, intents: readonly Intent[], tokens: string[]): Promise<void> {
    const changed = await em.nativeUpdate(Counter, { key }, { value: raw(`value + ${intents.length}`) });
    if (changed !== 1) throw new Error(`No counter has the key ${key}`);
    const { value } = await em.findOneOrFail(Counter, { key }, { refresh: true });
    for (const [index, { name, fate, payloadBytes }] of intents.entries()) {
      const seq = value - intents.length + index + 1;
      const token = randomUUID();
      await em.insert(Happening, { token, key, seq, fate });
      const event = Object.assign(new (eventClassOf(name))(), { token, key, seq });
      event.filler = 'x'.repeat(payloadBytes);
      this.#outbox.append(event);
      tokens.push(token);
    }
  }

  /** A few keys get most of the events. */
  #anyKey(): string {
    return this.#keys[Math.floor(Math.random() ** 2 * this.#keys.length)]!;
  }
}

/** Half of it on average, between two transactions of a hand. */
const PAUSE_MS = 120;
/** After a failure. */
const RETRY_MS = 100;

function chance(probability: number): boolean {
  return Math.random() < probability;
}
