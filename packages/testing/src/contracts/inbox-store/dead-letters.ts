import assert from 'node:assert/strict';
import type { InboxDeadLetter, InboxStore, RejectedMessage } from '@cqrs-outbox/core';
import type { DeclareStoreTest } from '../store-suite.js';
import { rejectedMessage } from './rejected-message.js';

const HOUR_MS = 60 * 60_000;

/** What an `InboxStore` promises of the messages that are set aside, each told by its id. */
export function deadLetterTests(test: DeclareStoreTest): void {
  listTests(test);
  retryTests(test);
  deleteTests(test);
}

function listTests(test: DeclareStoreTest): void {
  test('lists what is set aside page by page, the oldest or the newest first', async ({
    fixture: { inbox },
  }) => {
    await setAside(inbox, { messageId: 'a' }, { messageId: 'b' }, { messageId: 'c' });
    const list = (page: Partial<Parameters<InboxStore['listSetAside']>[0]>) =>
      inbox.listSetAside({ order: 'oldest first', limit: 2, ...page });
    const [a, b] = (await list({})) as [InboxDeadLetter, InboxDeadLetter];
    assert.deepEqual(idsOf(await list({})), ['a', 'b']);
    assert.deepEqual(idsOf(await list({ after: b.deadLetterId })), ['c']);
    assert.deepEqual(idsOf(await list({ upTo: a.deadLetterId })), ['a']);
    const [last, middle] = (await list({ order: 'newest first' })) as [InboxDeadLetter, InboxDeadLetter];
    assert.deepEqual(idsOf([last, middle]), ['c', 'b']);
    assert.deepEqual(idsOf(await list({ order: 'newest first', after: middle.deadLetterId })), ['a']);
    assert.deepEqual(await list({ after: last.deadLetterId }), []);
  });

  test('tells all but the payload of what is set aside, and the payload of one', async ({ fixture }) => {
    const message = rejectedMessage({
      stack: 'Error: no\n  at x',
      attempts: 3,
      payload: Buffer.from([0, 255]),
    });
    await setAside(fixture.inbox, message);
    const { payload, ...told } = message;
    const [letter] = (await all(fixture.inbox)) as [InboxDeadLetter];
    const { deadLetterId, rejectedAt, ...rest } = letter;
    assert.deepEqual(rest, { ...told, payloadBytes: 2, incompleteParts: [] });
    assert.ok(Math.abs(rejectedAt.getTime() - (await fixture.now())) < 20_000, rejectedAt.toISOString());
    assert.deepEqual(await fixture.inbox.readSetAside(deadLetterId), { ...letter, payload });
    assert.equal(await fixture.inbox.readSetAside('999999999'), undefined);
  });

  test('tells a tombstone from an empty payload', async ({ fixture: { inbox } }) => {
    await setAside(inbox, { payload: null }, { payload: Buffer.alloc(0) });
    const letters = (await all(inbox)) as [InboxDeadLetter, InboxDeadLetter];
    assert.deepEqual(
      letters.map(({ payloadBytes }) => payloadBytes),
      [undefined, 0],
    );
    assert.equal((await inbox.readSetAside(letters[0].deadLetterId))?.payload, null);
    assert.equal((await inbox.readSetAside(letters[1].deadLetterId))?.payload?.length, 0);
  });

  test('selects and counts what is set aside by each property, and by several', async ({
    fixture: { inbox },
  }) => {
    const base = { messageId: 'm', name: 'n', topic: 't', key: 'k' };
    await setAside(
      inbox,
      base,
      { ...base, messageId: 'M' },
      { ...base, name: 'N' },
      { ...base, topic: 'T' },
      { ...base, key: 'K' },
      { messageId: undefined, name: undefined, key: undefined },
    );
    const letters = (await all(inbox)) as [InboxDeadLetter, InboxDeadLetter, InboxDeadLetter];
    const select = async (selection: Parameters<InboxStore['countSetAside']>[0]): Promise<number[]> => {
      const page = { order: 'oldest first', limit: 10, ...selection } as const;
      const found = (await inbox.listSetAside(page)).map(({ deadLetterId }) => deadLetterId);
      assert.equal(await inbox.countSetAside(selection), found.length);
      return found.map((id) => letters.findIndex(({ deadLetterId }) => deadLetterId === id));
    };
    assert.deepEqual(await select({}), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(await select({ messageId: 'm' }), [0, 2, 3, 4]);
    assert.deepEqual(await select({ name: 'N' }), [2]);
    assert.deepEqual(await select({ topic: 'T' }), [3]);
    assert.deepEqual(await select({ key: 'K' }), [4]);
    assert.deepEqual(await select({ deadLetterId: letters[1].deadLetterId }), [1]);
    assert.deepEqual(await select({ messageId: 'm', name: 'n', topic: 't', key: 'k' }), [0]);
    assert.deepEqual(await select({ messageId: 'm', upTo: letters[2].deadLetterId }), [0, 2]);
    assert.deepEqual(await select({ name: 'none' }), []);
  });

  const large: Partial<Record<'payload' | 'headers' | 'key' | 'topic', Partial<RejectedMessage>>> = {
    payload: { payload: Buffer.alloc(4 * 1024 * 1024 + 1, 1) },
    headers: { headers: { ce_first: '1', 'x-large': 'x'.repeat(70_000), ce_id: 'message' } },
    key: { key: 'k'.repeat(10_000) },
    topic: { topic: `\0${'t'.repeat(10_000)}` },
  };
  for (const [part, given] of Object.entries(large)) {
    test(`says so when it can't keep all of a message: its ${part}`, async ({ fixture: { inbox } }) => {
      const message = rejectedMessage(given);
      await setAside(inbox, message);
      const [{ deadLetterId }] = (await all(inbox)) as [InboxDeadLetter];
      const letter = await inbox.readSetAside(deadLetterId);
      assert.ok(letter);
      const isKept = (name: keyof typeof message & keyof typeof large): boolean => {
        try {
          assert.deepEqual(letter[name], message[name]);
          return true;
        } catch {
          return false;
        }
      };
      const cut = (['topic', 'key', 'headers', 'payload'] as const).filter((name) => !isKept(name));
      assert.deepEqual(letter.incompleteParts, cut);
      assert.ok(cut.length === 0 || (cut.length === 1 && cut[0] === part), cut.join());
      assert.equal(letter.headers['ce_id'], 'message');
    });
  }

  test('tells which parts of a message were cut before it was set aside', async ({ fixture: { inbox } }) => {
    await setAside(inbox, { incompleteParts: ['headers'] });
    assert.deepEqual((await all(inbox))[0]?.incompleteParts, ['headers']);
  });

  test('keeps all of a message that is just as large as it may be', async ({ fixture: { inbox } }) => {
    const payload = Buffer.alloc(4 * 1024 * 1024, 7);
    const overhead = JSON.stringify({ 'x-large': '' }).length;
    const headers = { 'x-large': 'x'.repeat(64 * 1024 - overhead) };
    await setAside(inbox, { payload, headers, key: 'k'.repeat(191), topic: 't'.repeat(255) });
    const [letter] = (await all(inbox)) as [InboxDeadLetter];
    assert.deepEqual([letter.incompleteParts, letter.payloadBytes], [[], payload.length]);
    assert.ok((await inbox.readSetAside(letter.deadLetterId))?.payload?.equals(payload));
  });
}

function retryTests(test: DeclareStoreTest): void {
  const failure = { attemptsBefore: 2, attempts: 3, reason: 'again', stack: 'Error: again' };

  test('writes down a failed retry, and nothing else of the letter', async ({ fixture: { inbox } }) => {
    await setAside(inbox, { messageId: 'a', attempts: 2 }, { messageId: 'b', attempts: 2 });
    const [before, other] = (await all(inbox)) as [InboxDeadLetter, InboxDeadLetter];
    assert.equal(await inbox.recordFailedRetry(before.deadLetterId, failure), true);
    const { attempts, reason, stack } = failure;
    assert.deepEqual(await all(inbox), [{ ...before, attempts, reason, stack }, other]);
  });

  test('writes a failed retry down once, however many tell of it at the same time', async ({
    fixture: { inbox },
  }) => {
    await setAside(inbox, { attempts: 2 });
    const [{ deadLetterId }] = (await all(inbox)) as [InboxDeadLetter];
    const written = await Promise.all(
      Array.from({ length: 5 }, () => inbox.recordFailedRetry(deadLetterId, failure)),
    );
    assert.deepEqual(written.toSorted(), [false, false, false, false, true]);
    assert.equal((await all(inbox))[0]?.attempts, 3);
    await inbox.deleteSetAside([deadLetterId]);
    assert.equal(await inbox.recordFailedRetry(deadLetterId, { ...failure, attemptsBefore: 3 }), false);
  });

  test('takes a failed retry that changes nothing', async ({ fixture: { inbox } }) => {
    await setAside(inbox, { attempts: 0, reason: 'same', stack: undefined });
    const [{ deadLetterId }] = (await all(inbox)) as [InboxDeadLetter];
    const same = { attemptsBefore: 0, attempts: 0, reason: 'same', stack: undefined };
    assert.equal(await inbox.recordFailedRetry(deadLetterId, same), true);
  });

  test('takes any text as the reason and the stack of a failed retry', async ({ fixture: { inbox } }) => {
    await setAside(inbox, { attempts: 2 });
    const [{ deadLetterId }] = (await all(inbox)) as [InboxDeadLetter];
    const hostile = `\u0000 \uD800 ' \\ \u{1F600} ${'x'.repeat(100_000)}`;
    const written = inbox.recordFailedRetry(deadLetterId, { ...failure, reason: hostile, stack: hostile });
    assert.equal(await written, true);
  });
}

function deleteTests(test: DeclareStoreTest): void {
  test('deletes of what is set aside what it is told to, and counts what was there', async ({
    fixture: { inbox },
  }) => {
    await setAside(inbox, { messageId: 'a' }, { messageId: 'b' }, { messageId: 'c' });
    const [a, , c] = (await all(inbox)).map(({ deadLetterId }) => deadLetterId) as [string, string, string];
    assert.equal(await inbox.deleteSetAside([]), 0);
    assert.equal(await inbox.deleteSetAside([a, c]), 2);
    assert.equal(await inbox.deleteSetAside([a, c]), 0);
    assert.deepEqual(idsOf(await all(inbox)), ['b']);
  });

  test('purges what was set aside long ago, in parts', async ({ fixture }) => {
    const { inbox } = fixture;
    await setAside(inbox, { messageId: 'a' }, { messageId: 'b' }, { messageId: 'c' });
    await fixture.passTime(HOUR_MS);
    await setAside(inbox, { messageId: 'd' });
    assert.equal(await inbox.purgeSetAside(2 * HOUR_MS, 10), 0);
    assert.equal(await inbox.purgeSetAside(HOUR_MS / 2, 2), 2);
    assert.equal(await inbox.purgeSetAside(HOUR_MS / 2, 2), 1);
    assert.equal(await inbox.purgeSetAside(HOUR_MS / 2, 2), 0);
    assert.deepEqual(idsOf(await all(inbox)), ['d']);
  });
}

async function setAside(inbox: InboxStore, ...given: Partial<RejectedMessage>[]): Promise<void> {
  for (const message of given) await inbox.setAside(rejectedMessage(message));
}

function all(inbox: InboxStore): Promise<InboxDeadLetter[]> {
  return inbox.listSetAside({ order: 'oldest first', limit: 100 });
}

function idsOf(letters: readonly InboxDeadLetter[]): (string | undefined)[] {
  return letters.map(({ messageId }) => messageId);
}
