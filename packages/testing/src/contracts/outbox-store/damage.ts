import assert from 'node:assert/strict';
import { SAMPLE_SLOT_COUNT } from '../sample-message.js';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { onlyLetter } from './only-letter.js';

/** What is read of rows that are damaged. */
export function damageTests(test: DeclareStoreTest): void {
  test('reads a damaged entry as unreadable, and no other one', async ({ fixture }) => {
    if (!fixture.damage) return;
    const damaged = labelled('damaged');
    await commit(fixture, damaged, labelled('b'));
    await fixture.damage(damaged.id, damaged.destination);
    const [first, second] = await fetchAll(fixture);
    assert.ok(first?.unreadable);
    const { id, destination, slot, attempts } = first;
    assert.deepEqual([id, destination, slot, attempts], [damaged.id, 'default', damaged.slot, 0]);
    assert.equal(second?.unreadable, undefined);
    assert.equal((await fixture.outbox.fetchUpTo(damaged.id, 'default', 1))[0]?.unreadable, first.unreadable);
  });

  test('buries a damaged entry, whose dead letter can be listed, requeued and discarded', async ({
    fixture,
  }) => {
    if (!fixture.damage) return;
    const relay = await SampleRelay.start(fixture);
    const damaged = labelled('damaged');
    await commit(fixture, damaged, 'b');
    await fixture.damage(damaged.id, damaged.destination);
    assert.equal(await relay.bury(await fetchFirst(fixture), 'unreadable'), true);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    const { id, error } = await onlyLetter(fixture);
    assert.deepEqual([id, error], [damaged.id, 'unreadable']);
    assert.equal(await fixture.deadLetters.requeue({ messageId: id }), 1);
    await fixture.outbox.assignSlots('default', SAMPLE_SLOT_COUNT);
    assert.ok((await fetchFirst(fixture)).unreadable);
    await relay.bury(await fetchFirst(fixture), 'unreadable');
    assert.equal(await fixture.deadLetters.discard({}), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });
}
