import type { DeadLetterSelection, OutboxEntry } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT } from '../sample-message.js';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchOne, labelOf } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';

/** Commits entries, of which it gives some up, in this order. All of them must be fetchable when their turn comes. */
export async function withDeadLetters(
  fixture: StoreFixture,
  entries: readonly (OutboxEntry | string)[],
  givenUp: readonly string[],
): Promise<SampleRelay> {
  const relay = await SampleRelay.start(fixture);
  await commit(fixture, ...entries);
  for (const label of givenUp) await relay.bury(await fetchOne(fixture, label));
  return relay;
}

/** Requeues, and gives what was requeued its slot. @returns how many were requeued */
export async function requeue(fixture: StoreFixture, selection: DeadLetterSelection = {}): Promise<number> {
  const requeued = await fixture.deadLetters.requeue(selection);
  await assignSlots(fixture);
  return requeued;
}

/** Gives the entries of the sample destination that have no slot theirs. */
export async function assignSlots({ outbox }: StoreFixture): Promise<void> {
  await outbox.assignSlots('default', SAMPLE_SLOT_COUNT);
}

/** The labels of the dead letters, in the order of the list. */
export async function listLabels(
  { deadLetters }: StoreFixture,
  selection: DeadLetterSelection = {},
): Promise<string[]> {
  return (await deadLetters.list({ ...selection, limit: 100 })).map(labelOf);
}
