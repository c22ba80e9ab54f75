import { measureBacklog } from '../backlog/backlog.benchmark.ts';
import { measureBoot } from '../boot/boot.benchmark.ts';
import { measureCommand } from '../command/command.benchmark.ts';
import { measureConsume } from '../consume/consume.benchmark.ts';
import { measureDrain } from '../drain/drain.benchmark.ts';
import { measureRabbitMqDrain } from '../drain/rabbitmq-drain.benchmark.ts';
import { measureHintLatency } from '../hint/hint.benchmark.ts';
import { measureGrowth } from '../growth/growth.benchmark.ts';
import { measureLatency } from '../latency/latency.benchmark.ts';
import { measureMediator } from '../mediator/mediator.benchmark.ts';
import { measureMemory } from '../memory/memory.benchmark.ts';
import { measureRelays } from '../relays/relays.benchmark.ts';
import { measureStatements } from '../statements/statements.benchmark.ts';
import { measureStrictOrder } from '../strict-order/strict-order.benchmark.ts';
import { measureValidation } from '../validation/validation.benchmark.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { Benchmark } from './benchmark.ts';

const SERVERS: readonly DatabaseName[] = ['mariadb', 'postgres'];

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [
  { name: 'drain', brokers: ['kafka'], databases: SERVERS, measure: measureDrain },
  {
    name: 'rabbitmq-drain',
    brokers: ['rabbitmq'],
    databases: SERVERS,
    measure: measureRabbitMqDrain,
  },
  { name: 'latency', brokers: ['kafka'], databases: SERVERS, measure: measureLatency },
  { name: 'hint', brokers: ['kafka'], databases: SERVERS, measure: measureHintLatency },
  { name: 'memory', brokers: ['kafka'], databases: SERVERS, measure: measureMemory },
  { name: 'strict-order', brokers: ['kafka'], databases: SERVERS, measure: measureStrictOrder },
  { name: 'command', brokers: [], databases: [...SERVERS, 'libsql'], measure: measureCommand },
  { name: 'mediator', brokers: [], measure: measureMediator },
  { name: 'validation', brokers: [], measure: measureValidation },
  { name: 'boot', brokers: [], measure: measureBoot },
  { name: 'statements', brokers: [], databases: SERVERS, measure: measureStatements },
  { name: 'relays', brokers: ['kafka'], databases: SERVERS, measure: measureRelays, isLong: true },
  { name: 'growth', brokers: ['kafka'], databases: SERVERS, measure: measureGrowth, isLong: true },
  {
    name: 'consume',
    brokers: ['kafka', 'rabbitmq'],
    databases: SERVERS,
    measure: measureConsume,
    isLong: true,
  },
  { name: 'backlog', brokers: ['kafka'], databases: SERVERS, measure: measureBacklog, isLong: true },
];
