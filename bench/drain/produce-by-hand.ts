import type { Producer } from 'kafkajs';
import type { RawRow } from '../servers/outbox-rows.ts';
import { wireHeadersOf } from './wire-headers.ts';

/** One request for all rows, by kafkajs alone. */
export async function produceByHand(
  rows: readonly RawRow[],
  producer: Producer,
  topic: string,
): Promise<void> {
  const messages = rows.map((row) => ({
    key: row.message_key,
    value: row.payload,
    headers: wireHeadersOf(row),
  }));
  await producer.sendBatch({ topicMessages: [{ topic, messages }] });
}
