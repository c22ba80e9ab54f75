import assert from 'node:assert/strict';
import type { DeadLetter } from '@cqrs-outbox/core';
import type { StoreFixture } from '../store-harness.js';

/** The dead letter, when there is exactly one. */
export async function onlyLetter({ deadLetters }: StoreFixture): Promise<DeadLetter> {
  const [letter, ...others] = await deadLetters.list({ limit: 10 });
  assert.ok(letter, 'there is no dead letter');
  assert.deepEqual(others, []);
  return letter;
}
