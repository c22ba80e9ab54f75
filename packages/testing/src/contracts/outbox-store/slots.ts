import assert from 'node:assert/strict';
import { slotsOf, type EntrySelection } from '@cqrs-outbox/core';
import { keyInSlot, SAMPLE_DESTINATION, SAMPLE_SLOT_COUNT, SAMPLE_SLOTS } from '../sample-message.js';
import { commit, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import { SampleRelay } from '../sample-relay.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

const [FIRST, SECOND, THIRD] = SAMPLE_SLOTS;

/** What `fetch` promises of the slots, and `assignSlots`. */
export function slotTests(test: DeclareStoreTest): void {
  test('reads the slots that are asked for, in the order of the positions', async ({ fixture }) => {
    await commit(fixture, inSlot('a', THIRD), inSlot('b', FIRST), inSlot('c', SECOND), inSlot('d', THIRD));
    assert.deepEqual(await read(fixture, { slots: [THIRD, FIRST] }), ['a', 'b', 'd']);
    assert.deepEqual(await read(fixture, { slots: [SECOND] }), ['c']);
    assert.deepEqual(await read(fixture, { slots: [] }), []);
  });

  test('reads the first entries of each slot, up to its limit', async ({ fixture }) => {
    const ofFirst = ['a', 'b', 'c'].map((label) => inSlot(label, FIRST));
    await commit(fixture, ...ofFirst, inSlot('d', SECOND), inSlot('e', SECOND), inSlot('f', SECOND));
    assert.deepEqual(await read(fixture, { limitPerSlot: 2 }), ['a', 'b', 'd', 'e']);
    assert.deepEqual(await read(fixture, { limitPerSlot: 1 }), ['a', 'd']);
  });

  test('fills the limit with entries that can be published', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const parked = Array.from({ length: 20 }, (_, index) => inSlot(`parked ${index}`, FIRST));
    await commit(fixture, ...parked, inSlot('b', FIRST, 1), inSlot('c', FIRST, 2), inSlot('d', FIRST, 1));
    await relay.reschedule(await fetchFirst(fixture));
    assert.deepEqual(await read(fixture, { limitPerSlot: 2 }), ['b', 'c']);
  });

  for (const [what, slot] of [
    ['without a slot', 0],
    ['of a smaller count of slots', slotsOf(SAMPLE_SLOT_COUNT - 1).last],
    ['of a larger count of slots', slotsOf(SAMPLE_SLOT_COUNT + 1).first],
  ] as const) {
    test(`reads nothing while there is an entry ${what}`, async ({ fixture }) => {
      await commit(fixture, labelled('a'), labelled('b', { slot }), labelled('c'));
      assert.deepEqual(await read(fixture), 'misplaced');
      assert.deepEqual(await read(fixture, { slots: [FIRST] }), 'misplaced');
      assert.equal(await assign(fixture), 1);
      assert.deepEqual(await read(fixture), ['a', 'b', 'c']);
    });
  }

  test('reads the other destinations while one has an entry without a slot', async ({ fixture }) => {
    const destination = 'other';
    await commit(fixture, labelled('a', { slot: 0 }), labelled('b', { destination }));
    assert.deepEqual(await read(fixture, { destination }), ['b']);
    assert.equal(await assign(fixture, SAMPLE_SLOT_COUNT, destination), 0);
    assert.deepEqual(await read(fixture), 'misplaced');
  });

  test('assigns the slot of the key, and only where it is another one', async ({ fixture }) => {
    await commit(fixture, labelled('a', { slot: 0, key: keyInSlot(SECOND) }), inSlot('b', FIRST));
    assert.equal(await assign(fixture), 1);
    assert.equal(await assign(fixture), 0);
    assert.deepEqual(await read(fixture, { slots: [SECOND] }), ['a']);
    assert.deepEqual(await read(fixture, { slots: [FIRST] }), ['b']);
  });

  test('assigns 1000 at most each time', async ({ fixture }) => {
    await commit(fixture, ...Array.from({ length: 1_500 }, (_, index) => labelled(`${index}`, { slot: 0 })));
    assert.equal(await assign(fixture), 1_000);
    assert.deepEqual(await read(fixture), 'misplaced');
    assert.equal(await assign(fixture), 500);
    assert.equal((await fetchLabels(fixture)).length, 1_500);
  });

  test('assigns once when several do so at the same time', async ({ fixture }) => {
    await commit(fixture, ...['a', 'b', 'c'].map((label) => labelled(label, { slot: 0 })));
    await Promise.all(Array.from({ length: 4 }, () => assign(fixture)));
    assert.deepEqual(await read(fixture), ['a', 'b', 'c']);
  });

  test('takes another count of slots, for which all entries are assigned anew', async ({ fixture }) => {
    await commit(fixture, inSlot('a', FIRST), inSlot('b', SECOND), inSlot('c', THIRD));
    const { first } = slotsOf(1);
    const ofOne = { slots: [first], slotCount: 1 };
    assert.deepEqual(await read(fixture, ofOne), 'misplaced');
    assert.equal(await assign(fixture, 1), 3);
    assert.deepEqual(await read(fixture, ofOne), ['a', 'b', 'c']);
    assert.deepEqual(await read(fixture), 'misplaced');
  });

  test('keeps the retry of an entry that gets another slot', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await relay.reschedule(await fetchFirst(fixture));
    await assign(fixture, 1);
    await assign(fixture);
    assert.deepEqual(await read(fixture), []);
  });
}

function inSlot(label: string, slot: number | undefined, keyNumber = 0): ReturnType<typeof labelled> {
  return labelled(label, { key: keyInSlot(slot, keyNumber) });
}

type Reading = Omit<Partial<EntrySelection>, 'slots'> & { readonly slots?: readonly (number | undefined)[] };

/** @returns labels */
async function read(
  { outbox }: StoreFixture,
  { slots = SAMPLE_SLOTS, ...given }: Reading = {},
): Promise<string[] | 'misplaced'> {
  const { entries, hasMisplaced } = await outbox.fetch({
    destination: SAMPLE_DESTINATION,
    slots: slots.filter((slot) => slot !== undefined),
    slotCount: SAMPLE_SLOT_COUNT,
    limitPerSlot: 10_000,
    ...given,
  });
  if (hasMisplaced) assert.deepEqual(entries, []);
  return hasMisplaced ? 'misplaced' : entries.map(labelOf);
}

function assign(
  { outbox }: StoreFixture,
  slotCount = SAMPLE_SLOT_COUNT,
  destination = SAMPLE_DESTINATION,
): Promise<number> {
  return outbox.assignSlots(destination, slotCount);
}
