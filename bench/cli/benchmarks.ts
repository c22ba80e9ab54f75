import { measureBacklog } from '../backlog/backlog.benchmark.ts';
import { measureConsume } from '../consume/consume.benchmark.ts';
import { measureDrain } from '../drain/drain.benchmark.ts';
import { measureLatency } from '../latency/latency.benchmark.ts';
import { measureMemory } from '../memory/memory.benchmark.ts';
import { measureRelays } from '../relays/relays.benchmark.ts';
import { measureStrictOrder } from '../strict-order/strict-order.benchmark.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { Benchmark } from './benchmark.ts';

const SERVERS: readonly DatabaseName[] = ['mariadb', 'postgres'];

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [
  { name: 'drain', brokers: ['kafka'], databases: SERVERS, measure: measureDrain },
  { name: 'latency', brokers: ['kafka'], databases: SERVERS, measure: measureLatency },
  { name: 'memory', brokers: ['kafka'], databases: SERVERS, measure: measureMemory },
  { name: 'strict-order', brokers: ['kafka'], databases: SERVERS, measure: measureStrictOrder },
  { name: 'relays', brokers: ['kafka'], databases: SERVERS, measure: measureRelays, isLong: true },
  {
    name: 'consume',
    brokers: ['kafka', 'rabbitmq'],
    databases: SERVERS,
    measure: measureConsume,
    isLong: true,
  },
  { name: 'backlog', brokers: ['kafka'], databases: SERVERS, measure: measureBacklog, isLong: true },
];
