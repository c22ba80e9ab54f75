import type { Arrival } from '../history/records.ts';
import type { PairName } from '../plan/fault.ts';
import { KafkaBroker } from './kafka-broker.ts';
import { RabbitMqBroker } from './rabbitmq-broker.ts';

/** The run's broker, seen from outside of all processes. */
export interface Broker {
  /** Makes what the usual events need. */
  prepare(): Promise<void>;
  /** From now on it takes events of this name, which it has refused until now. */
  accept(name: string): Promise<void>;
  /** All that has arrived since the beginning, in the order of each lane; once, at the end. */
  arrivals(): Promise<Arrival[]>;
}

export function brokerOf(pair: PairName, port: number): Broker {
  return pair === 'mariadb-kafka' ? new KafkaBroker(port) : new RabbitMqBroker(port);
}
