import type { Producer } from 'kafkajs';
import type { OutboxDatabase, RawRow } from '../servers/outbox-database.ts';

const BATCH_SIZE = 500;

/**
 * The floor: the shortest loop that moves the table to Kafka, with nothing between it and the drivers. It sends the
 * same messages, byte for byte, but takes no care of anything: no retries, no refused messages, no held keys, no
 * second destination.
 */
export async function drainByHand(
  database: OutboxDatabase,
  producer: Producer,
  topic: string,
): Promise<void> {
  let next = database.select(0, BATCH_SIZE);
  for (;;) {
    const rows = await next;
    const last = rows.at(-1);
    if (!last) return;
    next = database.select(last.id, BATCH_SIZE);
    await producer.sendBatch({ topicMessages: [{ topic, messages: rows.map(toRecord) }] });
    await database.remove(rows.map(({ id }) => id));
  }
}

function toRecord(row: RawRow) {
  return {
    key: row.message_key,
    value: row.payload,
    headers: {
      ...(JSON.parse(row.headers) as Record<string, string>),
      ce_specversion: '1.0',
      ce_id: row.message_id,
      ce_type: row.name,
      ce_source: row.source,
      ce_time: new Date(Number(row.occurred_at)).toISOString(),
      ce_eventversion: String(row.version),
      ...(row.correlation_id === row.message_id ? {} : { ce_correlationid: row.correlation_id }),
      'content-type': row.content_type,
    },
  };
}
