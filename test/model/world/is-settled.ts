import type { RelayProcess } from './relay-process.ts';
import type { World } from './world.ts';

/** Whether all is done: everything published, and the slots shared fairly among those who are there. */
export function isSettled(world: World): boolean {
  const { database, processes, operations, broker, appended } = world;
  for (const operation of operations)
    if (operation.kind === 'environment' || operation.notBefore > world.time) return false;
  if (processes.some(({ state }) => state === 'frozen')) return false;
  const parked = database.parkedKeys().size > 0;
  if (database.delayed.length > 0 || (database.entries.size > 0 && !parked)) return false;
  const dead = new Set(database.deadLetters.map(({ entry }) => entry.id));
  if (!parked && !appended.every(({ id }) => broker.has(id) || dead.has(id))) return false;
  return isShared(world);
}

function isShared({ processes }: World): boolean {
  const active = processes.filter(({ isActive }) => isActive);
  if (processes.some(({ state, isStopping, hasStopped }) => state !== 'dead' && isStopping && !hasStopped))
    return false;
  // Of those with different numbers of slots, one group relays, and the others wait.
  const groups = [...Map.groupBy(active, ({ slotCount }) => slotCount)];
  const relaying = groups.filter(([slotCount, group]) => isSharedBy(group, slotCount));
  const waiting = groups.filter(([, group]) => group.every((process) => process.usable().length === 0));
  return active.length === 0 || (relaying.length === 1 && waiting.length === groups.length - 1);
}

function isSharedBy(group: readonly RelayProcess[], slotCount: number): boolean {
  const shares = group.map((process) => process.usable().length);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return total === slotCount && Math.max(...shares) - Math.min(...shares) <= 1;
}
