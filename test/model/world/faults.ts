import type { PublishResult } from '@cqrs-outbox/core';
import type { Operation } from './operation.ts';
import type { RelayProcess } from './relay-process.ts';
import type { FaultKind } from './scenario.ts';
import { JUMPS_MS, LONG_FREEZE_MS, SHORT_FREEZE_MS, STALL_MS } from './settings.ts';
import type { Option } from './steps.ts';
import type { World } from './world.ts';

/**
 * The faults that may come in place of an operation that is about to take effect. A crash or a freeze at any earlier
 * moment since the process asked for it looks the same to everyone else.
 */
export function faultsOf(world: World, operation: Operation): Option[] {
  const { process, kind } = operation;
  if (!process || operation.hasTakenEffect || process.state !== 'running') return [];
  const faults = [...processFaults(world, operation, process)];
  if (kind === 'broker') faults.push(...brokerFaults(world, operation, process));
  else faults.push(...tableFaults(world, operation, process));
  if (kind === 'lease table') {
    for (const jump of JUMPS_MS) {
      faults.push(fault(world, 'clock jump', `by ${jump} ms`, () => jumpClock(world, jump)));
    }
  }
  const allowed = new Set<FaultKind>(world.scenario.faults);
  return faults.flatMap(({ kind: name, option }) => (allowed.has(name) ? [option] : []));
}

interface Fault {
  readonly kind: FaultKind;
  readonly option: Option;
}

function* processFaults(world: World, { name }: Operation, process: RelayProcess): Generator<Fault> {
  const where = `${process.name} at: ${name}`;
  yield fault(world, 'crash', `${where}, which still takes effect`, () => {
    forget(world, process, ({ hasTakenEffect }) => hasTakenEffect);
    world.crash(process);
  });
  yield fault(world, 'crash', `${where}, without an effect`, () => {
    forget(world, process, () => true);
    world.crash(process);
  });
  yield fault(world, 'freeze', `${where}, for ${SHORT_FREEZE_MS} ms`, () =>
    freeze(world, process, SHORT_FREEZE_MS),
  );
  const slots = world.slotsOf(process);
  if (slots.length === 0) return;
  yield fault(world, 'freeze', `${where}, until it was replaced`, () => {
    freeze(world, process, LONG_FREEZE_MS);
    process.thawsWhenLost = slots;
  });
}

function* tableFaults(world: World, operation: Operation, process: RelayProcess): Generator<Fault> {
  const { name } = operation;
  const where = `${process.name}: ${name}`;
  const failed = (): Promise<never> => Promise.reject(new Error(`The connection was lost: ${name}`));
  yield fault(world, 'statement fails', where, () => {
    operation.replaceBy(failed());
    hear(world, operation, process);
  });
  yield fault(world, 'answer lost', where, () => {
    operation.takeEffect();
    operation.replaceBy(failed());
    hear(world, operation, process);
  });
  yield fault(world, 'stall', where, () => stall(world, operation));
}

function* brokerFaults(world: World, operation: Operation, process: RelayProcess): Generator<Fault> {
  const { message, name } = operation;
  if (!message) return;
  const where = `${process.name}: ${name}`;
  const away: PublishResult = { status: 'unavailable', error: new Error('The broker is away') };
  const answer = (result: PublishResult): void => {
    operation.replaceBy(Promise.resolve(result));
    hear(world, operation, process);
  };
  yield fault(world, 'message refused', where, () => answer(world.broker.refuse(message)));
  yield fault(world, 'message refused for good', where, () => answer(world.broker.refuse(message, true)));
  yield fault(world, 'broker away', where, () => answer(away));
  yield fault(world, 'acknowledgement lost', where, () => {
    const result = world.arrive(message);
    answer(result.status === 'published' ? away : result);
  });
  yield fault(world, 'message late', where, () => {
    world.run(process, () => operation.deliverEarly(Promise.resolve(away)));
    stall(world, operation);
  });
}

function freeze(world: World, process: RelayProcess, ms: number): void {
  process.state = 'frozen';
  process.thawsAt = world.time + ms;
  process.thawsWhenLost = [];
  world.disturbedAt = process.thawsAt;
}

function fault(world: World, kind: FaultKind, text: string, strike: () => void): Fault {
  const take = (): void => {
    world.disturbedAt = Math.max(world.disturbedAt, world.time);
    // A message that is refused excuses nothing.
    if (!kind.startsWith('message refused')) world.excuses.hasFault = true;
    strike();
  };
  return { kind, option: { cost: 'fault', label: `${world.time} !! ${kind}: ${text}`, take } };
}

function hear(world: World, operation: Operation, process: RelayProcess): void {
  world.operations.delete(operation);
  world.run(process, () => operation.deliver());
}

function stall(world: World, operation: Operation): void {
  operation.notBefore = world.time + STALL_MS;
  world.disturbedAt = operation.notBefore;
}

/** Operations of a process that is dead, and that will have no effect. */
function forget(world: World, process: RelayProcess, which: (operation: Operation) => boolean): void {
  for (const operation of world.operations) {
    if (operation.process === process && which(operation)) world.operations.delete(operation);
  }
}

function jumpClock(world: World, ms: number): void {
  world.databaseOffset += ms;
  world.excuses.hasLostEarly = true;
}
