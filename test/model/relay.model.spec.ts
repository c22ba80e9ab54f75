/*
 * A model of the lease and relay protocol, checked in every interleaving of small sizes.
 *
 * Two or three processes run the relay's own code: SlotLeases, DestinationRelay with all that is behind it, and
 * DelayedEntries, started and stopped as OutboxRelay does it, with guests and publishOne. Their clock, their timers and
 * their randomness are the model's; the tables are the in-memory store's, and the broker remembers what arrived. Each call
 * of a table or of the broker waits until the scheduler lets it take effect.
 * The code between two calls runs in one go, as it does in a real process, where nothing can come in between.
 *
 * What happens by itself: the oldest call comes first, and time passes when nothing else can happen. From there the model
 * departs in every way within a bound, counted as
 *   deviations: another call comes first; a call is slow and comes last; or time passes although a call is waiting,
 *   faults: a crash with the call in flight taking effect or not, a freeze of nearly a lease or until somebody has taken over, a
 *     statement that fails, one that loses its answer or takes effect a lease later, a message that is refused, a broker
 *     that is away, an acknowledgement that is lost, a message that arrives a lease later, a jump of the database's clock,
 *   points: how many calls of a run may be departed from; after them all goes its way, to the end, where everything must be
 *     published and the slots shared fairly.
 * Each run starts anew and repeats its choices (stateless model checking; a delay-bounded search as in Emmi, Qadeer and
 * Rakamaric, 2011), so that it can be shown again: a failure prints MODEL_REPLAY='...'. MODEL_DEPTH=2 doubles the points,
 * MODEL_WALKS and MODEL_SEED tell how many random walks of the larger scenario there are, and which.
 *
 * What is checked after each step is in world/invariants.ts, and what must be so at the end in world/is-settled.ts. Mutations
 * of the protocol, each of which the model must notice, are in mutations.ts.
 *
 * Not modelled: locks and isolation of real databases (a statement is atomic here), the order in which transactions commit
 * (what is appended is committed), clocks of processes that run at different speeds, the archive, a
 * transport that sends a batch as one request, more than two faults in a run (the walks: three). The fault suite meets those
 * on real servers.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { explore, replay, type Bound, type Exploration } from './explore/explore.ts';
import { walk } from './explore/random-walk.ts';
import { choicesOf, reportOf } from './explore/report.ts';
import { addSeen, NOTHING_SEEN } from './explore/run.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { crowded, freezing, SCENARIOS, SMALL_SCENARIOS } from './scenarios.ts';
import type { Scenario } from './world/scenario.ts';

const DEPTH = Number(process.env['MODEL_DEPTH'] ?? 1);
const WALKS = Number(process.env['MODEL_WALKS'] ?? 400);
const SEED = Number(process.env['MODEL_SEED'] ?? 1);
const REPLAY = process.env['MODEL_REPLAY'];

const BOUNDS: readonly Bound[] = [
  { deviations: 0, faults: 1, points: 400 * DEPTH },
  { deviations: 2, faults: 0, points: 14 * DEPTH },
  { deviations: 1, faults: 1, points: 10 * DEPTH },
  { deviations: 0, faults: 2, points: 10 * DEPTH },
];
/** What comes out of turn long after a fault, when a process wakes up. */
const AFTERMATH: Bound = { deviations: 1, faults: 1, points: 100, faultPoints: 14 * DEPTH };
/** Small enough for each mutation, and large enough to notice it. */
const MUTATION_BOUNDS: readonly Bound[] = [
  { deviations: 0, faults: 1, points: 100 },
  { deviations: 2, faults: 0, points: 10 },
];
/** There is much to do, and one core may be all there is. */
const TIME_LIMIT_MS = 600_000 * DEPTH ** 2;

let interleavings = 0;
let seen = NOTHING_SEEN;

async function check(scenario: Scenario, exploring: Promise<Exploration>): Promise<void> {
  const exploration = await exploring;
  interleavings += exploration.interleavings;
  seen = addSeen(seen, exploration.seen);
  if (exploration.failure) throw new Error(reportOf(scenario, exploration.failure));
}

async function finds({ parts }: Mutation): Promise<boolean> {
  for (const scenario of SMALL_SCENARIOS) {
    for (const bound of MUTATION_BOUNDS) {
      const { failure } = await explore({ ...scenario, parts }, bound);
      if (failure) return true;
    }
  }
  return false;
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

afterAll(() => {
  const { duplicates, deadLetters, fencedWrites, newNames } = seen;
  process.stdout.write(
    `Model: ${interleavings} interleavings explored (MODEL_DEPTH=${DEPTH}), with ${duplicates} duplicates, ` +
      `${deadLetters} dead letters, ${fencedWrites} fenced writes, ${newNames} instances that came back by another name.\n`,
  );
});

describe('The relay keeps its promises in every interleaving within the bound', () => {
  it.each(SMALL_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
    'of %s',
    async (_, scenario) => {
      for (const bound of BOUNDS) await check(scenario, explore(scenario, bound));
    },
    TIME_LIMIT_MS,
  );

  it(
    `of ${freezing.name}, also when it wakes up`,
    () => check(freezing, explore(freezing, AFTERMATH)),
    TIME_LIMIT_MS,
  );

  it(
    `and in random walks of ${crowded.name}`,
    () => check(crowded, walk(crowded, { deviations: 12, faults: 3, points: 400 }, WALKS, SEED)),
    TIME_LIMIT_MS,
  );
});

describe('The model', () => {
  it('gets to where promises could be broken', () => {
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });

  it('does the same again with the same choices', async () => {
    for (const scenario of SCENARIOS) {
      const choices = choicesOf('3=1,9=2');
      const [first, second] = [await replay(scenario, choices), await replay(scenario, choices)];
      expect(second).toEqual(first);
    }
  });

  it.each(MUTATIONS.map((mutation) => [mutation.name, mutation] as const))(
    'notices a relay that would %s',
    async (_, mutation) => {
      expect(await finds(mutation)).toBe(true);
    },
    TIME_LIMIT_MS,
  );

  if (REPLAY !== undefined) {
    it('shows a run again', async () => {
      const [name, text = ''] = REPLAY.split('|');
      const scenario = SCENARIOS.find((candidate) => candidate.name === name);
      if (!scenario) throw new Error(`There is no scenario ${name ?? ''}.`);
      const choices = choicesOf(text);
      const run = await replay(scenario, choices);
      process.stdout.write(`${reportOf(scenario, { choices, run })}\n`);
    });
  }
});
