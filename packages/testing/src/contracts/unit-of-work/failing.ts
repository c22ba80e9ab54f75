import assert from 'node:assert/strict';
import type { StoreFixture } from '../store-harness.js';

export const failure = new Error('on purpose');

export function fail(): never {
  throw failure;
}

/** The error that was thrown comes out as it is. */
export async function failsOnPurpose(work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => error === failure);
}

/** The committed value of an aggregate, read in a context of its own; undefined when there is none. */
export function storedValue(fixture: StoreFixture, id: string): Promise<number | undefined> {
  return fixture.unitOfWork.runInContext(async () => (await fixture.load(id))?.value);
}
