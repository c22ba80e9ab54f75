import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import { endWithThisProcess } from '../services/last-resort.ts';
import { endingWithParent } from '../services/parent-death.ts';

const RUN = fileURLToPath(new URL('./run.mjs', import.meta.url));
const SEED = process.env['FAULTS_SEED'] ?? '1';
/** With CI=true every kind of fault comes at least once. */
const MINUTES = process.env['CI'] === 'true' ? 3 : 0.75;
/** Beside the faults: the build, servers that start and stop, what has to drain, and what is read back. */
const AROUND_MS = 4 * 60_000;

// Its servers are its own; that these ones could be had says that the programs are there.
describeWith(['mariadb', 'postgres', 'kafka', 'rabbitmq'], 'relays under faults', () => {
  it(
    `lose nothing, keep the order of each key, and repeat nothing without a reason (seed ${SEED}, ${MINUTES} minutes)`,
    async () => {
      const { code, output } = await runFaults(['--minutes', `${MINUTES}`, '--seed', SEED]);
      if (code !== 0) process.stderr.write(output);
      expect(output.match(/^passed$/gm)).toHaveLength(2);
      expect(code).toBe(0);
    },
    MINUTES * 60_000 + AROUND_MS,
  );
});

/** In a process of its own, as a person runs it; it ends with this one in any case. */
async function runFaults(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const [program, ...rest] = endingWithParent([process.execPath, RUN, ...args], 'SIGTERM');
  // Jest's own flags are not for it.
  const env = { ...process.env };
  delete env['NODE_OPTIONS'];
  const child = spawn(program!, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const forget = child.pid === undefined ? () => undefined : endWithThisProcess(child.pid, 'SIGTERM');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  forget();
  return { code, output };
}
