import { join } from 'node:path';
import { createRunDirectory } from '../../services/run-directory.ts';
import { describePlan } from '../plan/describe-plan.ts';
import type { PairName } from '../plan/fault.ts';
import { planOf } from '../plan/plan.ts';
import { keepHistory } from '../report/keep-history.ts';
import { hasPassed, tableOf } from '../report/table.ts';
import { runPair, type PairRun } from '../stage/run-pair.ts';
import type { FaultArguments } from './arguments.ts';

/** @returns the exit code: 1 when a promise was broken, or a run could not be done */
export async function runAll(settings: FaultArguments): Promise<number> {
  if (settings.plan) {
    for (const pair of settings.pairs)
      console.log(`${pair}\n${describePlan(planOf({ ...settings, pair }))}\n`);
    return 0;
  }
  const directory = createRunDirectory();
  try {
    const passed: boolean[] = [];
    if (settings.serial) {
      for (const pair of settings.pairs) passed.push(await runOne(settings, pair, directory.path));
    } else {
      passed.push(
        ...(await Promise.all(settings.pairs.map((pair) => runOne(settings, pair, directory.path)))),
      );
    }
    return passed.every(Boolean) ? 0 : 1;
  } finally {
    directory.remove();
  }
}

async function runOne(settings: FaultArguments, pair: PairName, directory: string): Promise<boolean> {
  const { minutes, seed } = settings;
  const startedAt = performance.now();
  const tell = (text: string): void =>
    console.log(`[${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s] ${pair}: ${text}`);
  const plan = planOf({ ...settings, pair });
  const run: PairRun = { pair, minutes, plan, directory: join(directory, pair), tell };
  const again = `npm run test:faults -- --minutes ${minutes} --seed ${seed} --pair ${pair}`;
  try {
    const result = await runPair(run);
    const table = tableOf(`${pair}, ${minutes} minutes, seed ${seed}`, result);
    const isFine = hasPassed(result);
    console.log(`\n${table}\n${isFine ? 'passed' : `FAILED; again: ${again}`}`);
    if (!isFine || settings.keep) console.log(`history: ${keepHistory(run, seed, result, table)}`);
    return isFine;
  } catch (error) {
    console.error(`${pair}: the run could not be done; again: ${again}`);
    console.error(error);
    console.error(`history: ${keepHistory(run, seed)}`);
    return false;
  }
}
