import { setTimeout as sleep } from 'node:timers/promises';
import { backlog, fill, SLOTS } from '../app/backlog.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { serverCpu } from '../servers/server-cpu.ts';
import { RelayProcess, type Drained } from './relay-process.ts';

const SIZE = 100_000;
const WARM_UP_SIZE = 20_000;
const SHARE_LIMIT_MS = 60_000;
/** Each divides the number of slots. */
const COUNTS = [1, 2, 4] as const;
type Count = (typeof COUNTS)[number];

interface Rate {
  readonly messagesPerSecond: number;
  /** Of all relay processes together. */
  readonly cpuMicroseconds: number;
  /** Of the database's server. */
  readonly serverMicroseconds: number;
}

/** Several relays share what one would have of the machine; they must not get in each other's way. */
const MIN_RATIO = 0.9;

/** How fast one backlog goes to Kafka by one relay process, and by several that share its slots. */
export async function measureRelays(context: DatabaseContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const rates: Record<Count, Rate[]> = { 1: [], 2: [], 4: [] };
  try {
    for (let run = 1; run <= context.runs; run += 1) {
      // Who goes first changes with each run.
      for (const count of run % 2 === 1 ? COUNTS : COUNTS.toReversed()) {
        context.progress(`run ${run} of ${context.runs}, ${count} relay process(es), ${SIZE} entries`);
        rates[count].push(await rateOf(count, database, context));
      }
    }
  } finally {
    await database.drop();
  }
  const { name } = context.database;
  return COUNTS.flatMap((count) => [
    measurementOf('messagesPerSecond', `${count} relay(s)`, { count, rates, name }),
    measurementOf('cpuMicroseconds', `${count} relay(s), CPU`, { count, rates, name }),
    measurementOf('serverMicroseconds', `${count} relay(s), CPU of the database`, { count, rates, name }),
  ]);
}

function measurementOf(
  kind: keyof Rate,
  what: string,
  { count, rates, name }: { count: Count; rates: Readonly<Record<Count, readonly Rate[]>>; name: string },
): Measurement {
  const values = rates[count].map((rate) => rate[kind]);
  return {
    work: `drain ${SIZE} by ${what}, ${name}`,
    unit: kind === 'messagesPerSecond' ? 'msg/s' : 'µs/msg',
    values,
    ...(count > 1 && {
      floor: { what: 'relays: one relay process', values: rates[1].map((rate) => rate[kind]) },
      ...(kind === 'messagesPerSecond' && { target: { kind: 'ratio at least', value: MIN_RATIO } }),
    }),
  };
}

async function rateOf(count: Count, database: OutboxDatabase, context: DatabaseContext): Promise<Rate> {
  const topic = await KafkaTopic.create(context.brokers);
  const relays = Array.from({ length: count }, () => new RelayProcess(context, database));
  try {
    await haveShared(relays);
    await fill(database, WARM_UP_SIZE, topic.name);
    await Promise.all(relays.map((relay) => relay.drain()));
    await database.settle();
    const commit = await database.insert(backlog(SIZE, topic.name));
    await commit();
    const serverBefore = serverCpu(context.database.name);
    const startedAt = performance.now();
    const drained = await Promise.all(relays.map((relay) => relay.drain()));
    const seconds = (performance.now() - startedAt) / 1000;
    const server = serverCpu(context.database.name) - serverBefore;
    await validate(drained, database, topic);
    const cpu = drained.reduce((sum, { cpuMicroseconds }) => sum + cpuMicroseconds, 0);
    return {
      messagesPerSecond: SIZE / seconds,
      cpuMicroseconds: cpu / SIZE,
      serverMicroseconds: server / SIZE,
    };
  } finally {
    await Promise.all(relays.map((relay) => relay.stop()));
    await topic.drop();
    await database.settle();
  }
}

/** Relays that start find each other within some seconds. */
async function haveShared(relays: readonly RelayProcess[]): Promise<void> {
  const deadline = performance.now() + SHARE_LIMIT_MS;
  while (relays.some(({ slots }) => slots !== SLOTS / relays.length)) {
    if (performance.now() > deadline) {
      const shares = relays.map(({ slots }) => slots).join(', ');
      throw new Error(`${relays.length} relays did not share ${SLOTS} slots evenly: they have ${shares}`);
    }
    await sleep(50);
  }
}

/** @throws Error when a message was lost, or published twice */
async function validate(
  drained: readonly Drained[],
  database: OutboxDatabase,
  topic: KafkaTopic,
): Promise<void> {
  const published = drained.reduce((sum, relay) => sum + relay.published, 0);
  const [left, written] = [await database.count(), await topic.written()];
  if (left !== 0 || published !== SIZE || written !== SIZE + WARM_UP_SIZE) {
    throw new Error(
      `The run is not valid: of ${SIZE} entries ${left} are left, ${published} were published, ` +
        `and Kafka has ${written} with ${WARM_UP_SIZE} of the warm-up.`,
    );
  }
}
