import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import type { Stage } from '../stage/stage.ts';
import { targetOf } from './targets.ts';

/** Transactions end with unknown outcome; the database knows which of them were committed. */
export async function killWriter(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'writer', fault);
  if (!actor) return;
  await stage.during(fault, [actor.child.name], () => actor.child.kill());
  await sleep(fault.forMs);
  await stage.start('writer');
}

/** Transactions stay open: what they have inserted appears late, behind higher ids that were there long before. */
export async function freezeWriter(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'writer', fault);
  if (!actor) return;
  await stage.during(fault, [actor.child.name], async () => {
    actor.child.signal('SIGSTOP');
    await sleep(fault.forMs);
    actor.child.signal('SIGCONT');
  });
}
