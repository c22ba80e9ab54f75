import type { DatabaseAddress } from './outbox-database.ts';

export type BrokerName = 'kafka' | 'rabbitmq';

/** What a benchmark is given. */
export interface BenchContext {
  readonly runs: number;
  /** The size of the backlog of the benchmark with this name. */
  readonly entries: number;
  /** The addresses of Kafka; none where the benchmark has not asked for it. */
  readonly brokers: string[];
  /** The address of RabbitMQ; empty where the benchmark has not asked for it. */
  readonly amqpUrl: string;
  readonly progress: (text: string) => void;
}

/** What a benchmark is given that runs on a database. */
export interface DatabaseContext extends BenchContext {
  readonly database: DatabaseAddress;
}
