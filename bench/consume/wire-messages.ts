import { randomBytes } from 'node:crypto';
import { accountOf, AMOUNT, EVENT_NAME } from './credited.ts';

const PAYLOAD_BYTES = 300;

/** A message in the form in which the transports of the library publish it. */
export interface WireMessage {
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly value: Buffer;
}

/** Messages that were never sent before: the accounts in turn, ids in the form of a UUID version 7. */
export function wireMessages(count: number): WireMessage[] {
  const now = Date.now();
  return Array.from({ length: count }, (_, index) => {
    const account = accountOf(index);
    const payload = { account, amount: AMOUNT, text: '' };
    payload.text = 'x'.repeat(PAYLOAD_BYTES - JSON.stringify(payload).length);
    return { key: account, headers: headersOf(now, index), value: Buffer.from(JSON.stringify(payload)) };
  });
}

function headersOf(now: number, index: number): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: idOf(now, index),
    ce_type: EVENT_NAME,
    ce_source: 'bench',
    ce_time: new Date(now).toISOString(),
    ce_eventversion: '1',
    'content-type': 'application/json',
  };
}

function idOf(now: number, index: number): string {
  const time = (now + Math.floor(index / 4_096)).toString(16).padStart(12, '0');
  const counter = (index % 4_096).toString(16).padStart(3, '0');
  const random = randomBytes(8).toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-8${random.slice(1, 4)}-${random.slice(4)}`;
}
