import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { DuplicateMessageError } from '@cqrs-outbox/core';
import type { DeclareStoreTest } from '../store-suite.js';
import { record } from './record.js';
import { rejectedMessage } from './rejected-message.js';

/** What `purge` promises. */
export function purgeTests(test: DeclareStoreTest): void {
  const hourMs = 60 * 60_000;

  test('purges what was recorded long ago, in parts, and records it anew', async ({ fixture }) => {
    const { inbox } = fixture;
    for (const id of ['a', 'b', 'c']) await record(fixture, id, 'handler');
    await fixture.passTime(hourMs);
    await record(fixture, 'd', 'handler');
    assert.equal(await inbox.purge(2 * hourMs, 10), 0);
    assert.equal(await inbox.purge(hourMs / 2, 2), 2);
    assert.equal(await inbox.purge(hourMs / 2, 2), 1);
    assert.equal(await inbox.purge(hourMs / 2, 2), 0);
    for (const id of ['a', 'b', 'c']) await record(fixture, id, 'handler');
    await assert.rejects(record(fixture, 'd', 'handler'), DuplicateMessageError);
  });

  test('purges nothing of the messages that were set aside', async ({ fixture }) => {
    await fixture.inbox.setAside(rejectedMessage({}));
    await fixture.passTime(hourMs);
    assert.equal(await fixture.inbox.purge(0, 10), 0);
    assert.equal((await fixture.rejected()).length, 1);
  });

  test('keeps what was recorded of a message that is set aside, until that is gone', async ({ fixture }) => {
    const { inbox } = fixture;
    for (const id of ['set aside', 'other']) await record(fixture, id, 'handler');
    await inbox.setAside(rejectedMessage({ messageId: 'set aside' }));
    await fixture.passTime(hourMs);
    assert.equal(await inbox.purge(hourMs / 2, 10), 1);
    await assert.rejects(record(fixture, 'set aside', 'handler'), DuplicateMessageError);
    const letters = await inbox.listSetAside({ order: 'oldest first', limit: 1 });
    await inbox.deleteSetAside(letters.map(({ deadLetterId }) => deadLetterId));
    assert.equal(await inbox.purge(hourMs / 2, 10), 1);
  });
}

/** What `purge` promises of transactions that are open meanwhile. */
export function openRecordTests(test: DeclareStoreTest): void {
  test('purges while a handler is at work, and nothing of what it records', async ({ fixture }) => {
    const detached = AsyncLocalStorage.snapshot();
    await record(fixture, 'old', 'handler');
    await fixture.passTime(60 * 60_000);
    await fixture.unitOfWork.runInTransaction(async () => {
      await fixture.inbox.record('message', 'handler');
      assert.equal(await detached(() => fixture.inbox.purge(30 * 60_000, 10)), 1);
    });
    await assert.rejects(record(fixture, 'message', 'handler'), DuplicateMessageError);
  });
}
