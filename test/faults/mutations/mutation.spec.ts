import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { apply } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

describe('apply', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mutation-'));
    writeFileSync(join(directory, 'a.ts'), 'one two two');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('replaces what is there once', () => {
    apply([{ file: 'a.ts', from: 'one', to: '$& and $1' }], directory);
    expect(readFileSync(join(directory, 'a.ts'), 'utf8')).toBe('$& and $1 two two');
  });

  it.each(['three', 'two'])('refuses to replace %s, which is not there exactly once', (from) => {
    expect(() => apply([{ file: 'a.ts', from, to: '' }], directory)).toThrow(/a\.ts has \d times/);
  });
});

describe('MUTATIONS', () => {
  const edits = MUTATIONS.flatMap(({ name, edits }) => edits.map(({ file, from }) => ({ name, file, from })));

  it.each(edits)('$name: its edit of $file fits the source', ({ file, from }) => {
    expect(readFileSync(join(ROOT, file), 'utf8').split(from)).toHaveLength(2);
  });
});
