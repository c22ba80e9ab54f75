import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { documents } from './snippets.ts';
import { typeCheckSnippets } from './type-check.ts';

describe('the code in the documentation', () => {
  let faults: Map<string, string[]>;

  beforeAll(() => {
    faults = typeCheckSnippets();
  }, 120_000);
  afterAll(() => faults.clear());

  it.each(documents().map(({ path }) => path))('compiles: %s', (path) => {
    expect(faults.get(path)).toEqual([]);
  });
});
