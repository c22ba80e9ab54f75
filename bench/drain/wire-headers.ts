import type { RawRow } from '../servers/outbox-rows.ts';

/** The headers that the relay sends of a row. */
export function wireHeadersOf(row: RawRow): Record<string, string> {
  return {
    ...(JSON.parse(row.headers) as Record<string, string>),
    ce_specversion: '1.0',
    ce_id: row.message_id,
    ce_type: row.name,
    ce_source: row.source,
    ce_time: new Date(Number(row.occurred_at)).toISOString(),
    ce_eventversion: String(row.version),
    ...(row.correlation_id === row.message_id ? {} : { ce_correlationid: row.correlation_id }),
    'content-type': row.content_type,
  };
}
