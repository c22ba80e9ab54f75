import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { DuplicateMessageError } from '@cqrs-outbox/core';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { record, recordAll } from './record.js';

/** What `record` promises. */
export function recordTests(test: DeclareStoreTest): void {
  test('records a message once for each handler', async ({ fixture }) => {
    await record(fixture, 'message', 'handler');
    await record(fixture, 'message', 'other handler');
    await record(fixture, 'other message', 'handler');
    await assert.rejects(record(fixture, 'message', 'handler'), (error) => {
      assert.ok(error instanceof DuplicateMessageError);
      assert.deepEqual([error.messageId, error.handler], ['message', 'handler']);
      return true;
    });
    await record(fixture, 'third message', 'handler');
  });

  test('finds a duplicate in the same transaction', async ({ fixture }) => {
    const work = fixture.unitOfWork.runInTransaction(async () => {
      await fixture.inbox.record('message', 'handler');
      await fixture.inbox.record('message', 'handler');
    });
    await assert.rejects(work, DuplicateMessageError);
    await record(fixture, 'message', 'handler');
  });

  test('lets the transaction of a duplicate go on', async ({ fixture }) => {
    await record(fixture, 'message', 'handler');
    await fixture.unitOfWork.runInTransaction(async () => {
      await assert.rejects(fixture.inbox.record('message', 'handler'), DuplicateMessageError);
      await fixture.inbox.record('other message', 'handler');
    });
    await assert.rejects(record(fixture, 'other message', 'handler'), DuplicateMessageError);
  });

  test('forgets a message whose transaction or savepoint is rolled back', async ({ fixture }) => {
    const fail = async (): Promise<never> => {
      await fixture.inbox.record('message', 'handler');
      throw new Error('on purpose');
    };
    await assert.rejects(fixture.unitOfWork.runInTransaction(fail), /on purpose/);
    await fixture.unitOfWork.runInTransaction(async () => {
      await assert.rejects(fixture.savepoint(fail), /on purpose/);
    });
    await record(fixture, 'message', 'handler');
  });

  test('records several at once, and tells which of them are new', async ({ fixture }) => {
    const known = { messageId: 'known', handler: 'handler' };
    await record(fixture, known.messageId, known.handler);
    const [first, second, other] = [
      { messageId: 'first', handler: 'handler' },
      { messageId: 'second', handler: 'handler' },
      { messageId: 'first', handler: 'other handler' },
    ];
    for (const [pairs, areNew] of [
      [[], []],
      [
        [first, other],
        [true, true],
      ],
      [[second], [true]],
      [[first], [false]],
      [
        [first, { messageId: 'third', handler: 'handler' }, known, second],
        [false, true, false, false],
      ],
    ] as const)
      assert.deepEqual(await recordAll(fixture, pairs), areNew);
    for (const messageId of ['first', 'second', 'third'])
      await assert.rejects(record(fixture, messageId, 'handler'), DuplicateMessageError);
  });

  test('records what comes twice at once as new once, whatever its text', async ({ fixture }) => {
    const texts = ['e', 'é', `"],['`];
    const pairs = [...texts, ...texts.toReversed()].map((messageId) => ({ messageId, handler: `h'"\\` }));
    assert.deepEqual(await recordAll(fixture, pairs), [true, true, true, false, false, false]);
  });

  test('forgets several whose transaction is rolled back, and lets one with duplicates go on', async ({
    fixture,
  }) => {
    const pairs = ['first', 'second'].map((messageId) => ({ messageId, handler: 'handler' }));
    const fail = async (): Promise<never> => {
      await fixture.inbox.recordAll(pairs);
      throw new Error('on purpose');
    };
    await assert.rejects(fixture.unitOfWork.runInTransaction(fail), /on purpose/);
    await record(fixture, 'second', 'handler');
    await fixture.unitOfWork.runInTransaction(async () => {
      assert.deepEqual(await fixture.inbox.recordAll(pairs), [true, false]);
      await fixture.inbox.record('third', 'handler');
    });
    await assert.rejects(record(fixture, 'first', 'handler'), DuplicateMessageError);
    await assert.rejects(record(fixture, 'third', 'handler'), DuplicateMessageError);
  });

  test('forgets those of several that are not to be handled, and no others', async ({ fixture }) => {
    const pairs = ['first', 'second', 'third'].map((messageId) => ({ messageId, handler: 'handler' }));
    await fixture.unitOfWork.runInTransaction(async () => {
      await fixture.inbox.record('second', 'other handler');
      await fixture.inbox.recordAll(pairs);
      await fixture.inbox.forget(pairs.slice(1));
    });
    assert.deepEqual(await recordAll(fixture, pairs), [false, true, true]);
    await assert.rejects(record(fixture, 'second', 'other handler'), DuplicateMessageError);
  });

  test('tells ids and handlers apart by case and accent', async ({ fixture }) => {
    for (const text of ['a', 'A', 'e', 'é', 'e\u0301']) {
      await record(fixture, text, 'handler');
      await record(fixture, 'message', text);
    }
  });

  test('takes ids and names as long as they may be', async ({ fixture }) => {
    const [id, handler] = ['m'.repeat(63), 'h'.repeat(190)];
    for (const last of ['1', '2']) {
      await record(fixture, id + last, handler + last);
      await record(fixture, id + last, handler + (last === '1' ? '2' : '1'));
    }
    await assert.rejects(record(fixture, `${id}1`, `${handler}1`), DuplicateMessageError);
  });
}

/** What `record` promises of deliveries at the same time. */
export function concurrentRecordTests(test: DeclareStoreTest): void {
  test('waits for another transaction with the same message, and is a duplicate when that commits', async ({
    fixture,
  }) => {
    const second = await recordWhileAnotherIsOpen(fixture, async () => undefined);
    assert.ok(second instanceof DuplicateMessageError, String(second));
  });

  test('waits for another transaction with the same message, and records it when that is rolled back', async ({
    fixture,
  }) => {
    const second = await recordWhileAnotherIsOpen(fixture, async () => {
      throw new Error('on purpose');
    });
    assert.equal(second, 'recorded');
    await assert.rejects(record(fixture, 'message', 'handler'), DuplicateMessageError);
  });

  test('lets one of many deliveries of several messages at the same time through', async ({ fixture }) => {
    const pairs = ['first', 'second', 'third'].map((messageId) => ({ messageId, handler: 'handler' }));
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => recordAll(fixture, pairs)));
    for (const index of pairs.keys())
      assert.equal(outcomes.filter((areNew) => areNew[index]).length, 1, `message ${index}`);
  });

  test('lets one of many deliveries at the same time through', async ({ fixture }) => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => record(fixture, 'message', 'handler')),
    );
    const errors = outcomes.flatMap((outcome): unknown[] =>
      outcome.status === 'rejected' ? [outcome.reason] : [],
    );
    assert.equal(errors.length, 7);
    for (const error of errors) assert.ok(error instanceof DuplicateMessageError, String(error));
  });
}

/** @returns what became of the second transaction */
async function recordWhileAnotherIsOpen(fixture: StoreFixture, end: () => Promise<void>): Promise<unknown> {
  // Out here no transaction is open, so that the second one is none inside of the first.
  const detached = AsyncLocalStorage.snapshot();
  let second: Promise<unknown> = Promise.resolve();
  let isSettled = false;
  const first = fixture.unitOfWork.runInTransaction(async () => {
    await fixture.inbox.record('message', 'handler');
    second = detached(() => record(fixture, 'message', 'handler')).then(
      () => 'recorded',
      (error: unknown) => error,
    );
    void second.then(() => (isSettled = true));
    // Not a time but a number of round trips, in which the second one has every chance to go wrong.
    for (let round = 0; round < 20; round++) await fixture.load('no such row');
    assert.equal(isSettled, false, 'it did not wait');
    await end();
  });
  await first.catch((error: unknown) => assert.match(String(error), /on purpose/));
  return second;
}
