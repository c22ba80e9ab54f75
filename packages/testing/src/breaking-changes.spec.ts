import { describe, expect, it } from '@jest/globals';
import { breakingChanges, type EventContract } from './index.js';

const payload = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    at: { type: 'string', format: 'date-time' },
    note: { type: 'string' },
    lines: { type: 'array', items: { $ref: '#/$defs/Line' } },
  },
  required: ['at', 'id', 'lines'],
  $defs: {
    Line: {
      type: 'object',
      properties: { price: { type: 'string' }, inner: { $ref: '#/$defs/Line' } },
      required: ['price'],
    },
  },
};
const before: EventContract = { name: 'bills.sent', version: 2, oldestVersion: 1, topic: 'bills', payload };

const withProperties = (changes: object): object => ({
  payload: { ...payload, properties: { ...payload.properties, ...changes } },
});
const withLine = (line: object): object => ({
  payload: { ...payload, $defs: { Line: { ...payload.$defs.Line, ...line } } },
});
const changesTo = (changes: object): string[] => breakingChanges([before], [{ ...before, ...changes }]);

describe('changes of a contract', () => {
  it('break nothing where nothing or something optional is new, or an event', () => {
    expect(changesTo({})).toEqual([]);
    expect(changesTo(withProperties({ more: { type: 'string' } }))).toEqual([]);
    expect(breakingChanges([before], [{ ...before, name: 'bills.new' }, before])).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['another topic', { topic: 'b' }, 'bills.sent goes to b, no longer to bills'],
    ['a lower version', { version: 1 }, 'bills.sent has version 1, it had 2'],
    ['another type', withProperties({ id: { type: 'integer' } }), 'bills.sent.id is integer, it was string'],
    [
      'another format',
      withProperties({ at: { type: 'string' } }),
      'bills.sent.at is string, it was string (date-time)',
    ],
    [
      'another type, nested',
      withLine({ properties: { ...payload.$defs.Line.properties, price: { type: 'number' } } }),
      'bills.sent.lines[].price is number, it was string',
    ],
    [
      'a nested property that is gone',
      withLine({ properties: { price: { type: 'string' } } }),
      'bills.sent.lines[].inner is gone',
    ],
    [
      'what has become required',
      { payload: { ...payload, required: ['at', 'id', 'lines', 'note'] } },
      'bills.sent.note has become required',
    ],
    [
      'what is not required any more',
      { payload: { ...payload, required: ['id', 'lines'] } },
      'bills.sent.at is not required any more',
    ],
    [
      'what is new and required',
      {
        payload: {
          ...payload,
          properties: { ...payload.properties, zone: { type: 'string' } },
          required: [...payload.required, 'zone'],
        },
      },
      'bills.sent.zone is new and required',
    ],
    [
      'a version without an upcaster',
      { version: 3, oldestVersion: 3 },
      "bills.sent of version 1 can't be read any more: it needs an upcaster",
    ],
  ])('break something: %s', (_, changes, expected) => {
    expect(changesTo(changes)).toEqual([expected]);
  });

  it('break something when an event is gone', () => {
    expect(breakingChanges([before], [])).toEqual(['bills.sent is gone']);
  });

  it('may do anything to the payload with a new version that has an upcaster', () => {
    expect(changesTo({ version: 3, oldestVersion: 1, payload: { type: 'object' } })).toEqual([]);
  });
});
