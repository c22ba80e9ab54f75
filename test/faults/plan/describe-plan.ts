import type { PlannedFault } from './fault.ts';

/** A plan as lines to read, one for each fault. */
export function describePlan(plan: readonly PlannedFault[]): string {
  return plan.map(describeFault).join('\n');
}

export function describeFault({ id, kind, atMs, forMs, ...details }: PlannedFault): string {
  const rest = Object.entries(details).map(([name, value]) => `${name} ${value}`);
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  return `#${id} at ${seconds(atMs)} for ${seconds(forMs)}: ${[kind, ...rest].join(', ')}`;
}
