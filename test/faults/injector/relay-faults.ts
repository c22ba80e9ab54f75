import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../history/event-log.ts';
import type { PlannedFault } from '../plan/fault.ts';
import type { RelayCommand } from '../processes/settings.ts';
import type { Actor, Stage } from '../stage/stage.ts';
import { becomes, targetOf } from './targets.ts';

/** How long a relay has to come to the moment that it is to be hit at, and how long the run waits for that. */
const MOMENT_LIMIT_MS = 1_500;
const MOMENT_WAIT_MS = 2_000;
const MAX_RELAYS = 5;
const MIN_RELAYS = 2;

/** SIGKILL, as a rule in mid-batch: sent and not acknowledged, or acknowledged and not deleted. Another takes its place later. */
export async function killRelay(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'relay', fault);
  if (!actor) return;
  await stage.during(fault, [actor.child.name], async () => {
    actor.child.isEndWanted = true;
    await hit(actor, 'SIGKILL', fault, () => actor.child.ending !== undefined);
    await actor.child.kill();
  });
  await sleep(fault.forMs);
  await stage.start('relay');
}

/** The zombie: frozen for longer than its lease, and then it goes on where it was. */
export async function freezeRelay(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'relay', fault);
  if (!actor) return;
  await stage.during(fault, [actor.child.name], async () => {
    await hit(actor, 'SIGSTOP', fault, () => actor.child.isFrozen);
    await sleep(fault.forMs);
    actor.child.signal('SIGCONT');
  });
}

/** An orderly end: its slots are handed over at once, and nothing is sent twice. */
export async function leaveRelay(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'relay', fault);
  if (!actor) return;
  await stage.during(fault, [actor.child.name], () => actor.child.leave());
  if (stage.actors('relay').length < MIN_RELAYS) await stage.start('relay');
}

/** One more shares the slots, at once and without a duplicate; beyond the limit the oldest leaves. */
export async function joinRelay(stage: Stage, fault: PlannedFault): Promise<void> {
  const oldest = stage.actors('relay')[0];
  await stage.during(fault, [], () => stage.start('relay'));
  await sleep(fault.forMs);
  if (oldest && stage.actors('relay').length > MAX_RELAYS) await leaveRelay(stage, { ...fault, target: 0 });
}

/** Nothing may depend on a process's own idea of the time. */
export async function shiftClock(stage: Stage, fault: PlannedFault): Promise<void> {
  const actor = targetOf(stage, 'relay', fault);
  if (!actor) return;
  const command = (byMs: number): RelayCommand => ({ command: 'shift clock', byMs });
  await stage.during(fault, [actor.child.name], async () => {
    actor.child.send(command(fault.shiftMs!));
    await sleep(fault.forMs);
    actor.child.send(command(-fault.shiftMs!));
  });
}

/** At the planned moment of its work; where it has none, at any. */
async function hit(
  actor: Actor,
  signal: 'SIGKILL' | 'SIGSTOP',
  { moment = 'any' }: PlannedFault,
  isDone: () => boolean,
): Promise<void> {
  if (moment !== 'any') {
    // A relay that boots reads this late: an instant, so that it does not stop itself when the run has woken it up again.
    const until = monotonicMs() + MOMENT_LIMIT_MS;
    const command: RelayCommand = { command: 'signal yourself', signal, moment, until };
    actor.child.send(command);
    if (await becomes(isDone, MOMENT_WAIT_MS)) return;
  }
  actor.child.signal(signal);
}
