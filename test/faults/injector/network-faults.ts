import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import type { TcpProxy } from '../proxy/tcp-proxy.ts';
import type { Actor, Stage } from '../stage/stage.ts';
import { targetOf } from './targets.ts';

const SLOW_MS = 75;

/** Connections are reset, and can't be made again before it is over. */
export function cut(stage: Stage, fault: PlannedFault): Promise<void> {
  return between(stage, fault, (proxy) => proxy.cut());
}

/** Nothing comes through, and nobody is told. */
export function stall(stage: Stage, fault: PlannedFault): Promise<void> {
  return between(stage, fault, (proxy) => proxy.stall());
}

/** Everything takes its time. */
export function slow(stage: Stage, fault: PlannedFault): Promise<void> {
  return between(stage, fault, (proxy) => proxy.delay(SLOW_MS));
}

async function between(stage: Stage, fault: PlannedFault, harm: (proxy: TcpProxy) => void): Promise<void> {
  const { server = 'database', scope, forMs } = fault;
  const one = targetOf(stage, 'relay', fault);
  const actors: Actor[] = scope === 'all' ? stage.all() : one ? [one] : [];
  const touches = scope === 'all' ? [server] : actors.map(({ child }) => child.name);
  await stage.during(fault, touches, async () => {
    for (const { proxies } of actors) harm(proxies[server]);
    await sleep(forMs);
    for (const { proxies } of actors) proxies[server].resume();
  });
}
