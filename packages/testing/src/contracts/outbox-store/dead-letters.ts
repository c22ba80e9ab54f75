import assert from 'node:assert/strict';
import { DELAY_MS, SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, fetchOne, labelled } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { onlyLetter } from './only-letter.js';

/** What `bury` promises. */
export function deadLetterTests(test: DeclareStoreTest): void {
  test('moves an entry to the dead letters, with the reason and the stack', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const entry = labelled('', { payload: Buffer.from([0, 255]), headers: { 'x-text': 'é' } });
    await commit(fixture, entry, labelled('b', { key: 'other' }));
    assert.equal(await relay.bury(await fetchFirst(fixture), "it isn't taken", 'at line 1'), true);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal(await fixture.outbox.count('default'), 1);
    const { availableAt: _, strictOrder: __, slot: ___, ...message } = entry;
    const { deadLetterId, failedAt, history, ...letter } = await onlyLetter(fixture);
    assert.deepEqual(letter, {
      ...message,
      attempts: 1,
      error: "it isn't taken",
      stack: 'at line 1',
      isParking: false,
    });
    assert.equal(typeof deadLetterId, 'string');
    await assertIsNow(fixture, failedAt);
    assert.deepEqual(
      history.map(({ error }) => error),
      ["it isn't taken"],
    );
  });

  test('counts all refusals, and tells of each', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await relay.reschedule(await fetchFirst(fixture), DELAY_MS, 'first');
    await fixture.passTime(DELAY_MS);
    await relay.reschedule(await fetchFirst(fixture), DELAY_MS, 'second');
    await fixture.passTime(DELAY_MS);
    await relay.bury(await fetchFirst(fixture), 'third');
    const { attempts, error, stack, history } = await onlyLetter(fixture);
    assert.deepEqual([attempts, error, stack], [3, 'third', undefined]);
    assert.deepEqual(
      history.map((attempt) => attempt.error),
      ['first', 'second', 'third'],
    );
    for (const { at } of history) assert.ok(at instanceof Date);
    await assertIsNow(fixture, history.at(-1)?.at);
  });

  test('remembers the last 20 refusals of many', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    for (let attempt = 1; attempt <= 24; attempt++)
      await relay.reschedule(await fetchFirst(fixture), 0, `${attempt}`);
    await relay.bury(await fetchFirst(fixture), '25');
    const { attempts, history } = await onlyLetter(fixture);
    assert.equal(attempts, 25);
    assert.deepEqual(
      history.map(({ error }) => error),
      Array.from({ length: 20 }, (_, index) => `${index + 6}`),
    );
  });

  test('lets the rest of the key go on, without the attempts of the buried entry', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await relay.reschedule(await fetchFirst(fixture));
    await fixture.passTime(DELAY_MS);
    await relay.bury(await fetchFirst(fixture));
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal((await fetchAll(fixture))[0]?.attempts, 0);
    await relay.bury(await fetchFirst(fixture), 'of b');
    const [, second] = await fixture.deadLetters.list({ limit: 10 });
    assert.deepEqual([second?.attempts, second?.history.length], [1, 1]);
  });

  test('holds back the rest of the key with the policy park, at its destination alone', async ({
    fixture,
  }) => {
    const relay = await SampleRelay.start(fixture);
    const poison = labelled('poison', { deadLetterPolicy: 'park' });
    await commit(
      fixture,
      poison,
      'a',
      labelled('b', { key: 'other' }),
      labelled('c', { destination: 'other' }),
    );
    await relay.bury(await fetchOne(fixture, 'poison'));
    await commit(fixture, 'd');
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['c']);
    await fixture.passTime(100 * DELAY_MS);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal(await fixture.outbox.count('default'), 3);
    assert.equal((await onlyLetter(fixture)).isParking, true);
  });

  test('buries nothing that is gone already', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, labelled('a', { deadLetterPolicy: 'park' }), 'b');
    const entry = await fetchFirst(fixture);
    await relay.remove([entry]);
    assert.equal(await relay.bury(entry), false);
    assert.deepEqual(await fixture.deadLetters.list({ limit: 10 }), []);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('buries an entry once', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    const entry = await fetchFirst(fixture);
    await relay.bury(entry);
    assert.equal(await relay.bury(entry), false);
    assert.equal((await onlyLetter(fixture)).attempts, 1);
  });

  test('buries a tombstone, with any text of an error', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, labelled('', { payload: null }));
    const text = `\u0000 ' \\ \u{1F600} ${'x'.repeat(100_000)}`;
    await relay.reschedule(await fetchFirst(fixture), 0, text);
    await relay.bury(await fetchFirst(fixture), text, text);
    const { payload, error, stack } = await onlyLetter(fixture);
    assert.equal(payload, null);
    assert.ok(error.length >= 1_000, 'the error was cut too short');
    assert.ok(stack && stack.length >= 1_000, 'the stack was cut too short');
  });
}

async function assertIsNow(fixture: StoreFixture, at: Date | undefined): Promise<void> {
  const awayMs = Math.abs((await fixture.now()) - (at?.getTime() ?? 0));
  assert.ok(awayMs < 30_000, `${awayMs} ms away from now`);
}
