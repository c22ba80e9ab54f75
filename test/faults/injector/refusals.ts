import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import type { WriterCommand } from '../processes/settings.ts';
import { HAPPENED, MAX_MESSAGE_BYTES, NOWHERE, refusedKey, refusedName } from '../processes/topology.ts';
import type { Stage } from '../stage/stage.ts';
import { targetOf } from './targets.ts';

/** Outages of a minute may follow one another, and a broker starts slowly on a machine with much to do. */
const ACCEPT_TRIES = 600;

/** The broker refuses one message of a key, and takes it a little later; the key's later ones wait for it. */
export async function refusal(stage: Stage, fault: PlannedFault): Promise<void> {
  const name = refusedName(fault.id);
  await stage.during(fault, [], async () => {
    ask(stage, fault, { name, fate: 'refused', payloadBytes: 0 });
    await sleep(fault.forMs);
    await accept(stage, name);
  });
}

/** The broker will never take one message of a key, which becomes a dead letter; then its followers go on. */
export async function poison(stage: Stage, fault: PlannedFault): Promise<void> {
  const isLarge = fault.poison === 'too large';
  const name = isLarge ? HAPPENED : NOWHERE;
  await stage.during(fault, [], async () => {
    ask(stage, fault, { name, fate: 'doomed', payloadBytes: isLarge ? 2 * MAX_MESSAGE_BYTES : 0 });
    await sleep(fault.forMs);
  });
}

function ask(
  stage: Stage,
  fault: PlannedFault,
  what: Pick<WriterCommand & { command: 'append refusable' }, 'name' | 'fate' | 'payloadBytes'>,
): void {
  const command: WriterCommand = { command: 'append refusable', key: refusedKey(fault.id), ...what };
  targetOf(stage, 'writer', fault)?.child.send(command);
}

/** Other faults may be there at the same time. */
async function accept(stage: Stage, name: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await stage.broker.accept(name);
      return;
    } catch (error) {
      if (tries === ACCEPT_TRIES) throw error;
      await sleep(1_000);
    }
  }
}
