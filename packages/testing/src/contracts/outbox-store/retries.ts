import assert from 'node:assert/strict';
import { DELAY_MS, SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, fetchOne, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `reschedule` promises. */
export function retryTests(test: DeclareStoreTest): void {
  test('parks the key of a refused entry, at its destination alone', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(
      fixture,
      'a',
      labelled('b', { key: 'other' }),
      'c',
      labelled('d', { destination: 'elsewhere' }),
    );
    await park(relay, fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.deepEqual(await fetchLabels(fixture, 'elsewhere'), ['d']);
    assert.equal(await fixture.outbox.count('default'), 3);
  });

  test('gives the refused entry alone when it is due, with its attempts', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await park(relay, fixture, 'a');
    await fixture.passTime(DELAY_MS - 20_000);
    assert.deepEqual(await fetchLabels(fixture), []);
    await fixture.passTime(20_000);
    const due = await fetchAll(fixture);
    assert.deepEqual(due.map(labelOf), ['a']);
    assert.equal(due[0]?.attempts, 1);
  });

  test('counts each refusal, and waits anew', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await park(relay, fixture, 'a');
    await fixture.passTime(DELAY_MS);
    await park(relay, fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), []);
    await fixture.passTime(DELAY_MS);
    assert.deepEqual(
      (await fetchAll(fixture)).map(({ attempts }) => attempts),
      [2],
    );
  });

  test('frees the key when the entry was published after all', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await park(relay, fixture, 'a');
    await fixture.passTime(DELAY_MS);
    await relay.remove(await fetchAll(fixture));
    const rest = await fetchAll(fixture);
    assert.deepEqual(rest.map(labelOf), ['b']);
    assert.equal(rest[0]?.attempts, 0);
    await park(relay, fixture, 'b');
    await fixture.passTime(DELAY_MS);
    assert.deepEqual(
      (await fetchAll(fixture)).map(({ attempts }) => attempts),
      [1],
    );
  });

  test('is not held up by the retry of an entry that is gone', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    const stale = await fetchFirst(fixture);
    await park(relay, fixture, 'a');
    await relay.remove([stale]);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal((await fetchAll(fixture))[0]?.attempts, 0);
  });

  test('counts a refusal once when the call is repeated', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    const entry = await fetchFirst(fixture);
    await relay.reschedule(entry);
    await relay.reschedule(entry);
    await fixture.passTime(DELAY_MS);
    assert.equal((await fetchFirst(fixture)).attempts, 1);
  });

  test('parks nothing for an entry that is gone', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    const entry = await fetchFirst(fixture);
    await relay.remove([entry]);
    assert.equal(await relay.reschedule(entry), false);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('is due at once without a delay', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    await relay.reschedule(await fetchFirst(fixture), 0);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('reads a parked entry by its message id, with its attempts', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const [a, b] = [labelled('a'), labelled('b')];
    await commit(fixture, a, b);
    await park(relay, fixture, 'a');
    const entries = await fixture.outbox.fetchUpTo(b.id, 'default', 10);
    assert.deepEqual(
      entries.map((entry) => [labelOf(entry), entry.attempts]),
      [
        ['a', 1],
        ['b', 0],
      ],
    );
  });

  for (const [parked, other] of [
    ['A', 'a'],
    ['é', 'e'],
    ['ß', 'ss'],
    ['e\u0301', '\u00e9'],
  ] as const) {
    test(`tells the keys ${JSON.stringify(parked)} and ${JSON.stringify(other)} apart`, async ({
      fixture,
    }) => {
      const relay = await SampleRelay.start(fixture);
      await commit(fixture, labelled('parked', { key: parked }), labelled('other', { key: other }));
      await park(relay, fixture, 'parked');
      assert.deepEqual(await fetchLabels(fixture), ['other']);
      await park(relay, fixture, 'other');
      await fixture.passTime(DELAY_MS);
      assert.deepEqual(
        (await fetchAll(fixture)).map(({ attempts }) => attempts),
        [1, 1],
      );
    });
  }

  test('takes any text of an error', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    await relay.reschedule(await fetchFirst(fixture), 0, `\u0000 ' \\ \u{1F600} ${'x'.repeat(100_000)}`);
    assert.deepEqual(
      (await fetchAll(fixture)).map(({ attempts }) => attempts),
      [1],
    );
  });
}

async function park(relay: SampleRelay, fixture: StoreFixture, label: string): Promise<void> {
  assert.equal(await relay.reschedule(await fetchOne(fixture, label)), true);
}
