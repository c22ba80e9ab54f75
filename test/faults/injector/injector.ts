import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultKind, PlannedFault } from '../plan/fault.ts';
import type { Stage } from '../stage/stage.ts';
import { lockConflict } from './lock-conflict.ts';
import { cut, slow, stall } from './network-faults.ts';
import { poison, refusal } from './refusals.ts';
import { freezeRelay, joinRelay, killRelay, leaveRelay, shiftClock } from './relay-faults.ts';
import { brokerOutage, restartBroker, restartDatabase } from './server-faults.ts';
import { freezeWriter, killWriter } from './writer-faults.ts';

/** Does a fault, and undoes it. It resolves when nothing of it is left. */
export type Fault = (stage: Stage, fault: PlannedFault) => Promise<void>;

const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  'kill-relay': killRelay,
  'freeze-relay': freezeRelay,
  'leave-relay': leaveRelay,
  'join-relay': joinRelay,
  'shift-clock': shiftClock,
  'kill-writer': killWriter,
  'freeze-writer': freezeWriter,
  'restart-broker': restartBroker,
  'broker-outage': brokerOutage,
  'restart-database': restartDatabase,
  cut,
  stall,
  slow,
  'lock-conflict': lockConflict,
  refusal,
  poison,
};

/** Does the faults of a plan at their times, and resolves when all are healed. A fault that can't be done is an incident. */
export async function inject(
  stage: Stage,
  plan: readonly PlannedFault[],
  tell: (fault: PlannedFault) => void,
): Promise<void> {
  const startedAt = performance.now();
  const running = plan.map(async (fault) => {
    await sleep(Math.max(0, startedAt + fault.atMs - performance.now()));
    tell(fault);
    try {
      await FAULTS[fault.kind](stage, fault);
    } catch (error) {
      stage.incidents.push(`fault #${fault.id} (${fault.kind}) could not be done: ${String(error)}`);
    }
  });
  await Promise.all(running);
}
