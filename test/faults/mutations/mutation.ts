import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ViolationKind } from '../check/evidence.ts';
import type { FaultKind } from '../plan/fault.ts';

/** A replacement in a source file; what is replaced must be there exactly once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A way in which the relay could be wrong, and what the suite has to see of it. */
export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The faults that bring it to light. */
  readonly kinds: readonly FaultKind[];
  readonly minutes: number;
  readonly expected: ViolationKind;
}

/** @throws Error when the source is not what the mutation was written for */
export function apply(edits: readonly Edit[], root: string): void {
  for (const { file, from, to } of edits) {
    const path = join(root, file);
    const source = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const count = source.split(from).length - 1;
    if (count !== 1) {
      throw new Error(
        `${file} has ${count} times what a mutation replaces, instead of once: write it anew.\n${from}`,
      );
    }
    writeFileSync(
      path,
      source.replace(from, () => to),
    );
  }
}
