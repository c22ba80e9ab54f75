import type { ArchiveSelection, OutboxEntry } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT } from '../sample-message.js';
import type { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';

/** Commits entries, archives and removes them. */
export async function publish(
  fixture: StoreFixture,
  relay: SampleRelay,
  ...entries: readonly (OutboxEntry | string)[]
): Promise<void> {
  await commit(fixture, ...entries);
  await publishAll(fixture, relay);
}

/** Archives and removes all that is in the outbox for a destination. */
export async function publishAll(
  fixture: StoreFixture,
  relay: SampleRelay,
  destination?: string,
): Promise<void> {
  await relay.publish(await fetchAll(fixture, destination));
}

/** A whole replay. @returns how many were appended */
export async function replay(fixture: StoreFixture, selection: ArchiveSelection = {}): Promise<number> {
  let total = 0;
  let after: string | undefined;
  do {
    const { replayed, last } = await fixture.archive.replay(selection, after);
    total += replayed;
    after = last;
  } while (after !== undefined);
  for (const destination of ['default', 'other'])
    while ((await fixture.outbox.assignSlots(destination, SAMPLE_SLOT_COUNT)) > 0);
  return total;
}
