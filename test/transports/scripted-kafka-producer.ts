import { KafkaProducer, type KafkaAnswer, type KafkaFault, type Message } from '@cqrs-outbox/core';

/** A Kafka client that does what a test says, and tells what was asked of it: `prepare`, `renew` and the keys of a request. */
export class ScriptedKafkaProducer extends KafkaProducer {
  readonly asked: string[] = [];
  onPrepare: () => KafkaFault | undefined = () => undefined;
  /** What becomes of a request; as a rule all is taken. */
  onSend: (messages: readonly Message[]) => KafkaAnswer[] = (messages) => [{ messages }];

  async prepare(): Promise<KafkaFault | undefined> {
    this.asked.push('prepare');
    return this.onPrepare();
  }

  async send(_topic: string, messages: readonly Message[]): Promise<KafkaAnswer[]> {
    this.asked.push(messages.map(({ key }) => key).join(' '));
    return this.onSend(messages);
  }

  async renew(): Promise<void> {
    this.asked.push('renew');
  }

  async close(): Promise<void> {}

  /** All requests, each by its keys. */
  get requests(): string[] {
    return this.asked.filter((what) => what !== 'prepare' && what !== 'renew');
  }
}
