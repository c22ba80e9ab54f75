import { describe, expect, it } from '@jest/globals';
import type { Message } from '@cqrs-outbox/core';
import { MultipleErrors, NetworkError, ResponseError } from '@platformatic/kafka';
import { answersOf } from './answers.js';

const PRODUCE = 0;
const METADATA = 3;
const VERSION = 11;

/** One message for each of the partitions. */
const partitions = new Map(
  [0, 1, 2, 3].map((partition) => [partition, [{ key: `key of ${partition}` } as Message]]),
);

/** The error of the client for what one broker has answered: the error codes of its partitions. */
function answer(codes: Readonly<Record<number, number>>): ResponseError {
  const partitionResponses = Object.entries(codes).map(([index, errorCode]) => ({
    index: Number(index),
    errorCode,
  }));
  const errors = partitionResponses
    .filter(({ errorCode }) => errorCode !== 0)
    .map(({ index, errorCode }): [string, [number, null]] => [
      `/responses/0/partition_responses/${index}`,
      [errorCode, null],
    ]);
  return new ResponseError(PRODUCE, VERSION, Object.fromEntries(errors), {
    responses: [{ name: 'topic', partitionResponses }],
  });
}

function failed(errors: Error[], taken: number[] = []): Error {
  const error = new MultipleErrors('Producing messages failed.', errors);
  return Object.assign(error, {
    produced: { offsets: taken.map((partition) => ({ topic: 'topic', partition, offset: 0n })) },
  });
}

/** What became of each partition. */
function outcomes(error: unknown): string[] {
  return answersOf(error, partitions).map(({ fault }) =>
    fault ? (fault.name ?? 'unavailable') + (fault.mayBeStale ? ', stale' : '') : 'taken',
  );
}

describe('what became of a request that failed', () => {
  it('is told for each partition', () => {
    const error = failed([answer({ 0: 0, 1: 10, 2: 6, 3: 0 })]);
    expect(outcomes(error)).toEqual(['taken', 'MESSAGE_TOO_LARGE', 'NOT_LEADER_OR_FOLLOWER, stale', 'taken']);
  });

  it('is told for those of a broker that has answered, and is not known of another', () => {
    const down = new NetworkError('Connection closed');
    const error = failed([answer({ 0: 10, 1: 0 }), down], [2]);
    expect(outcomes(error)).toEqual(['MESSAGE_TOO_LARGE', 'taken', 'taken', 'unavailable']);
  });

  it('is not known when nothing was answered', () => {
    expect(outcomes(new NetworkError('Connection closed'))).toEqual(Array(4).fill('unavailable'));
    expect(outcomes(undefined)).toEqual(Array(4).fill('unavailable'));
  });

  it('has the name that a broker has given when it was asked for the topic', () => {
    const unauthorized = new ResponseError(METADATA, VERSION, { '/topics/0': [29, null] }, {});
    expect(outcomes(unauthorized)).toEqual(Array(4).fill('TOPIC_AUTHORIZATION_FAILED'));
  });

  it("has the broker's own words where there are some", () => {
    const partitionResponses = [{ index: 0, errorCode: 44, errorMessage: 'no payroll here' }];
    const refused = new ResponseError(
      PRODUCE,
      VERSION,
      { '/responses/0/partition_responses/0': [44, 'no payroll here'] },
      { responses: [{ name: 'topic', partitionResponses }] },
    );
    const [first] = answersOf(failed([refused]), partitions);
    expect(first?.fault?.error).toMatchObject({ message: 'POLICY_VIOLATION: no payroll here' });
  });

  it('has the reason of the last of several tries, and all of them as its cause', () => {
    const refused = new NetworkError('Connection failed.', { cause: new Error('connect ECONNREFUSED') });
    const tried = new MultipleErrors('metadata failed 2 times.', [new Error('first'), refused]);
    const [first] = answersOf(tried, partitions);
    expect(first?.fault?.error).toMatchObject({ message: 'connect ECONNREFUSED', cause: tried });
  });
});
