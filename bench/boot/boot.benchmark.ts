import { setImmediate as nextTurn } from 'node:timers/promises';
import { CqrsOutboxModule, NullTransport } from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Measurement } from '../cli/measurement.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import { handlers, SERVICES } from './handlers.ts';

/** Boots of each kind that make a run; their mean is its value. */
const BOOTS = 15;
const MAX_RATIO = 1.25;

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class BootBenchModule {}

/**
 * How long an application with 500 handlers takes to boot, beside a Nest application with the same providers and nothing that
 * looks at them. Both boot in turn in one process: the time to load the sources is not in it, nor is any server. It is CPU time,
 * since nothing is waited for, and the clock would also measure what else the machine does.
 */
export async function measureBoot({ runs, progress }: BenchContext): Promise<Measurement[]> {
  const providers = handlers();
  const bare: DynamicModule = { module: BootBenchModule, providers: [...SERVICES, ...providers] };
  const outbox = CqrsOutboxModule.forRoot({
    source: 'bench',
    store: InMemoryStore,
    transport: new NullTransport(),
    relay: false,
  });
  const ours: DynamicModule = { ...bare, imports: [outbox] };
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let run = 0; run <= runs; run += 1) {
    progress(run === 0 ? 'warming up' : `run ${run} of ${runs}`);
    const [ofOurs, ofBare] = await meanTimes([ours, bare]);
    if (run === 0) continue;
    times.ours.push(ofOurs!);
    times.bare.push(ofBare!);
  }
  return [
    {
      work: `boot with ${providers.length} handlers, CPU`,
      unit: 'ms',
      values: times.ours,
      floor: { what: 'a Nest application with the same providers', values: times.bare },
      target: { kind: 'ratio at most', value: MAX_RATIO },
    },
  ];
}

/** Milliseconds of each module, booted in turn. */
async function meanTimes(modules: readonly DynamicModule[]): Promise<number[]> {
  const sums = modules.map(() => 0);
  for (let boot = 0; boot < BOOTS; boot += 1) {
    for (let turn = 0; turn < modules.length; turn += 1) {
      const index = (boot + turn) % modules.length;
      sums[index]! += await bootTime(modules[index]!);
    }
  }
  return sums.map((sum) => sum / BOOTS);
}

async function bootTime(module: DynamicModule): Promise<number> {
  const before = process.cpuUsage();
  const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
  const { user, system } = process.cpuUsage(before);
  await app.close();
  // What a turn has looked at by a WeakRef is kept until the next one: without it no application would ever be let go.
  await nextTurn();
  return (user + system) / 1000;
}
