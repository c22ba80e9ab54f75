import type { EventFacts } from '../history/records.ts';
import type { Evidence, Violation } from './evidence.ts';

/** Whether what was committed has arrived, and nothing else has. */
export function checkArrivals({
  committed,
  acknowledged,
  arrivals,
  deadLetters,
}: Pick<Evidence, 'committed' | 'acknowledged' | 'arrivals' | 'deadLetters'>): Violation[] {
  const dead = new Set(deadLetters);
  const facts = new Map(committed.map((event) => [event.token, event]));
  const arrived = new Map<string, Set<string>>();
  const violations: Violation[] = [];
  for (const { token, messageId, key, seq } of arrivals) {
    const event = facts.get(token);
    const ids = arrived.get(token) ?? new Set();
    arrived.set(token, ids.add(messageId));
    if (event?.key === key && event.seq === seq) continue;
    const why = event ? `was committed as ${nameOf(event)}` : 'was never committed';
    violations.push({
      kind: 'invented',
      text: `${nameOf({ key, seq })} (token ${token}) has arrived, and ${why}`,
    });
  }
  for (const [token, ids] of arrived) {
    if (ids.size > 1)
      violations.push({
        kind: 'invented',
        text: `token ${token} has ${ids.size} message ids: ${[...ids].join()}`,
      });
  }
  return [
    ...violations,
    ...acknowledged
      .filter((token) => !facts.has(token))
      .map((token) => ({
        kind: 'database lost' as const,
        text: `token ${token}: its commit was acknowledged`,
      })),
    ...committed.flatMap((event) => checkFate(event, arrived.has(event.token), dead)),
  ];
}

/** An event arrives, or it is one that can't and is a dead letter. */
function checkFate(event: EventFacts, hasArrived: boolean, deadLetters: ReadonlySet<string>): Violation[] {
  const isDead = deadLetters.has(event.token);
  const name = `${nameOf(event)} (token ${event.token}, fate: ${event.fate})`;
  if (event.fate === 'doomed') {
    if (hasArrived) return [{ kind: 'invented', text: `${name} has arrived, and nothing could take it` }];
    return isDead ? [] : [{ kind: 'lost', text: `${name} is no dead letter` }];
  }
  const violations: Violation[] = [];
  if (!hasArrived) violations.push({ kind: 'lost', text: `${name} has not arrived` });
  if (isDead) violations.push({ kind: 'wrong dead letter', text: `${name} is a dead letter` });
  return violations;
}

function nameOf({ key, seq }: { key: string; seq: number }): string {
  return `${key} #${seq}`;
}
