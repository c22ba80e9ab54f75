import { spawn } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endWithThisProcess } from '../../services/last-resort.ts';
import { endingWithParent } from '../../services/parent-death.ts';
import { createRunDirectory } from '../../services/run-directory.ts';
import type { FaultArguments } from '../cli/arguments.ts';
import { apply, type Mutation } from './mutation.ts';
import { MUTATIONS, UNCHANGED } from './mutations.ts';
import { copyTree } from './tree-copy.ts';

/** Runs the suite against the library as it is, and against each mutation of it. @returns 1 when one is not found */
export async function runMutations(settings: FaultArguments): Promise<number> {
  const directory = createRunDirectory();
  try {
    const copy = join(directory.path, 'mutated');
    copyTree(copy);
    cpSync(join(copy, 'packages'), join(directory.path, 'original'), { recursive: true });
    // All of them before the first run: what does not fit is better known now than in some minutes.
    for (const mutation of MUTATIONS) applyAnew(mutation, directory.path);
    restore(directory.path);
    const unchanged = await run(copy, UNCHANGED, settings);
    const verdicts = [verdictOf('unchanged: nothing', unchanged.code === 0)];
    for (const mutation of MUTATIONS) {
      applyAnew(mutation, directory.path);
      const outcome = await run(copy, mutation, settings);
      verdicts.push(verdictOf(`${mutation.name}: ${mutation.expected}`, isFound(mutation, outcome)));
    }
    console.log(`\n${verdicts.map(({ text }) => text).join('\n')}`);
    return verdicts.every(({ isFine }) => isFine) ? 0 : 1;
  } finally {
    directory.remove();
  }
}

function applyAnew({ edits }: Mutation, directory: string): void {
  restore(directory);
  apply(edits, join(directory, 'mutated'));
}

function restore(directory: string): void {
  const packages = join(directory, 'mutated', 'packages');
  rmSync(packages, { recursive: true });
  cpSync(join(directory, 'original'), packages, { recursive: true });
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

function verdictOf(name: string, isFine: boolean): { isFine: boolean; text: string } {
  return { isFine, text: `${isFine ? 'as it should be' : 'NOT FOUND      '}  ${name}` };
}

/** The table of a run has a number for each kind of violation. */
function isFound({ expected }: Mutation, { code, output }: Outcome): boolean {
  return code === 1 && new RegExp(`^${expected} +[1-9]`, 'm').test(output);
}

async function run(
  copy: string,
  { name, kinds, minutes }: Pick<Mutation, 'name' | 'kinds' | 'minutes'>,
  { seed, pairs }: FaultArguments,
): Promise<Outcome> {
  console.log(`\n=== ${name}`);
  const script = join(copy, 'test', 'faults', 'run.mjs');
  const args = [
    '--minutes',
    `${minutes}`,
    '--seed',
    `${seed}`,
    '--faults',
    kinds.join(),
    '--pair',
    pairs.join(),
  ];
  const [program, ...rest] = endingWithParent([process.execPath, script, ...args], 'SIGTERM');
  const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const forget = child.pid === undefined ? () => undefined : endWithThisProcess(child.pid, 'SIGTERM');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      process.stdout.write(chunk);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  forget();
  return { code, output };
}
