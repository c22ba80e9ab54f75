import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountDatabase } from './account-database.ts';
import { createConsumingApp } from './consuming-app.ts';
import { AMOUNT } from './credited.ts';
import type { ConsumerSettings, MessageSource } from './message-source.ts';
import { wireMessages } from './wire-messages.ts';

/** How often it is looked how many are handled, in milliseconds. */
const POLL_MS = 5;
const LIMIT_MS = 180_000;

export interface Rate {
  readonly messagesPerSecond: number;
  /** Of this process, user and system. */
  readonly cpuMicroseconds: number;
}

/** A consumer that has been started. */
export interface RunningConsumer {
  /** How many messages it has handled. */
  readonly handled: () => number;
  readonly stop: () => Promise<void>;
}

export type StartConsumer = (
  source: MessageSource,
  database: AccountDatabase,
  settings: ConsumerSettings,
) => Promise<RunningConsumer>;

/** What is measured. */
export const startOurs: StartConsumer = async (source, database, settings) => {
  const { batchSize: maxMessages, transactions: maxTransactions } = settings;
  const batch = maxMessages > 1 && { maxMessages, maxTransactions };
  const app = await createConsumingApp(database, source.topic, source.server(settings), batch);
  await app.listen();
  return { handled: () => app.consumer.counts.handled, stop: app.close };
};

/** The floor. */
export const startByHand: StartConsumer = async (source, database, settings) => {
  let handled = 0;
  const stop = await source.consumeByHand(async (credits) => {
    await database.credit(credits);
    handled += credits.length;
  }, settings);
  return { handled: () => handled, stop };
};

/** All messages are at the broker before the consumer starts. */
export async function rateOf(
  start: StartConsumer,
  source: MessageSource,
  database: AccountDatabase,
  settings: ConsumerSettings,
  size: number,
): Promise<Rate> {
  await database.reset();
  await source.publish(wireMessages(size));
  const consumer = await start(source, database, settings);
  try {
    const rate = await timed(consumer.handled, size);
    const { inboxRows, total } = await database.outcome();
    if (inboxRows !== size || total !== size * AMOUNT) {
      throw new Error(
        `The run is not valid: of ${size} messages ${inboxRows} are in the inbox, and the total is ${total}.`,
      );
    }
    return rate;
  } finally {
    await consumer.stop();
  }
}

/** From the moment that the first messages are handled, when the consumer has its connections, until all are. */
async function timed(handled: () => number, size: number): Promise<Rate> {
  const deadline = performance.now() + LIMIT_MS;
  while (handled() === 0) await untilNextLook(deadline);
  const [startedAt, cpuBefore, before] = [performance.now(), process.cpuUsage(), handled()];
  while (handled() < size) await untilNextLook(deadline);
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  const count = size - before;
  return { messagesPerSecond: count / seconds, cpuMicroseconds: (cpu.user + cpu.system) / count };
}

async function untilNextLook(deadline: number): Promise<void> {
  if (performance.now() > deadline) throw new Error(`Not all was consumed in ${LIMIT_MS} ms`);
  await sleep(POLL_MS);
}
