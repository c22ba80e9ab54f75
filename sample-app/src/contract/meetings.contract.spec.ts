import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { meetingsContract } from './meetings.contract.js';

/** It fails when an event has changed: write the file anew, and a review shows what changes for the consumers. */
it('is what contract.json says (npm run --silent contract -w sample-app > sample-app/contract.json)', async () => {
  const file = await readFile(new URL('../../contract.json', import.meta.url), 'utf8');
  expect(await meetingsContract()).toBe(file);
});
