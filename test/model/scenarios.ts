import type { Append, FaultKind, Operating, Scenario } from './world/scenario.ts';

/** All that can happen without a hand on the database's clock. */
export const FAULTS: readonly FaultKind[] = [
  'crash',
  'freeze',
  'statement fails',
  'answer lost',
  'stall',
  'message refused',
  'message refused for good',
  'broker away',
  'acknowledgement lost',
  'message late',
];

const TWO_START: readonly Operating[] = [
  { at: 0, what: 'start', process: 0 },
  { at: 0, what: 'start', process: 1 },
];
const THREE_ENTRIES: readonly Append[] = [
  { at: 0, key: 'x' },
  { at: 0, key: 'x' },
  { at: 0, key: 'y' },
];

function scenario(name: string, given: Partial<Scenario>): Scenario {
  return {
    name,
    slotCount: 2,
    operating: TWO_START,
    appends: THREE_ENTRIES,
    faults: FAULTS,
    restarts: true,
    maxAttempts: 2,
    ...given,
  };
}

/** Two relays start at the same time, and share two slots. */
export const together = scenario('two relays that start together', {});

/** One relay has everything when a second one comes: it must give a slot away while it works. */
export const joining = scenario('a relay that joins', {
  operating: [
    { at: 0, what: 'start', process: 0 },
    { at: 30, what: 'start', process: 1 },
  ],
  appends: [
    { at: 0, key: 'x' },
    { at: 90, key: 'y' },
    { at: 90, key: 'y' },
    { at: 100, key: 'x' },
  ],
});

/** One of two relays is shut down in the middle of its work. */
export const leaving = scenario('a relay that leaves', {
  operating: [...TWO_START, { at: 120, what: 'stop', process: 0 }],
  appends: [...THREE_ENTRIES, { at: 119, key: 'x' }, { at: 120, key: 'y' }, { at: 121, key: 'x' }],
});

/** One slot, and two keys in it: only one relay can have it. */
export const contested = scenario('one slot for two relays', {
  slotCount: 1,
  appends: [...THREE_ENTRIES, { at: 100, key: 'x' }],
});

/** A relay is frozen with half a batch sent, and wakes up when another one has its slot. */
export const freezing = scenario('a relay that freezes', {
  slotCount: 1,
  faults: ['freeze'],
  appends: [
    { at: 0, key: 'x' },
    { at: 0, key: 'x' },
    { at: 0, key: 'x' },
  ],
});

/** The first message of a key is refused until it is a dead letter; the key goes on, until somebody requeues it. */
export const poisoned = scenario('a poisoned key that goes on', {
  operating: [...TWO_START, { at: 200, what: 'requeue' }],
  appends: [
    { at: 0, key: 'x', refusals: 2 },
    { at: 0, key: 'x' },
    { at: 0, key: 'y', refusals: 1 },
    { at: 0, key: 'y' },
  ],
});

/** The first message of a key is refused until it is a dead letter; the key waits until somebody requeues it. */
export const parked = scenario('a poisoned key that is parked', {
  operating: [...TWO_START, { at: 200, what: 'requeue' }],
  appends: [
    { at: 0, key: 'x', refusals: 2, policy: 'park' },
    { at: 0, key: 'x', policy: 'park' },
    { at: 0, key: 'y' },
    { at: 201, key: 'x', policy: 'park' },
  ],
});

/** An entry that becomes due while others of its key are appended. */
export const delayed = scenario('a delayed entry', {
  appends: [
    { at: 0, key: 'x' },
    { at: 0, key: 'x', dueAt: 100 },
    { at: 120, key: 'x' },
  ],
});

/** A relay with another number of slots comes, and waits until the first one is gone. */
export const resized = scenario('another number of slots', {
  operating: [
    { at: 0, what: 'start', process: 0 },
    { at: 30, what: 'start', process: 1, slotCount: 1 },
    { at: 120, what: 'stop', process: 0 },
  ],
  appends: [...THREE_ENTRIES, { at: 119, key: 'x' }, { at: 150, key: 'x' }],
});

/** A process without a relay makes passes beside one that has everything, and one before anybody has. */
export const visited = scenario('passes of processes that have no relay', {
  operating: [
    { at: 0, what: 'visit', process: 0 },
    { at: 0, what: 'start', process: 1 },
    { at: 30, what: 'visit', process: 2 },
  ],
  appends: [...THREE_ENTRIES, { at: 30, key: 'x' }],
});

/** Somebody publishes one message at once, while its relay works at the same key. */
export const hurried = scenario('a message that is published by hand', {
  operating: [
    { at: 0, what: 'start', process: 0 },
    { at: 30, what: 'start', process: 1 },
    // Its key waits for the retry of x1.
    { at: 95, what: 'publish one', process: 0, id: 'x3' },
    // Its relay has not heard of it.
    { at: 260, what: 'publish one', process: 1, id: 'y2' },
  ],
  appends: [
    { at: 90, key: 'x', refusals: 1 },
    { at: 90, key: 'x' },
    { at: 91, key: 'x' },
    { at: 259, key: 'y' },
    { at: 259, key: 'y' },
  ],
});

/**
 * Somebody deletes a relay from the table. Another one has its slot before it notices, if it is slow to look, and then there is
 * more to do than one batch holds.
 */
export const edited = scenario('an instance that is deleted by hand', {
  operating: [...TWO_START, { at: 99, what: 'delete the row of', process: 0 }],
  appends: [...THREE_ENTRIES, ...Array.from({ length: 6 }, (): Append => ({ at: 140, key: 'x' }))],
});

/** The database's clock is set while two relays work. */
export const jumping = scenario('a clock that jumps', {
  faults: ['clock jump'],
  appends: [...THREE_ENTRIES, { at: 100, key: 'x' }, { at: 150, key: 'y' }],
});

/** Three relays, of which one joins and one leaves, three slots, and many entries. */
export const crowded = scenario('three relays and three slots', {
  slotCount: 3,
  operating: [...TWO_START, { at: 150, what: 'start', process: 2 }, { at: 600, what: 'stop', process: 1 }],
  appends: [0, 0, 40, 130, 140, 300, 310, 600, 610, 900].flatMap((at): Append[] => [
    { at, key: 'x', refusals: at === 130 ? 1 : 0 },
    { at, key: 'y', refusals: at === 300 ? 3 : 0 },
  ]),
  faults: [...FAULTS, 'clock jump'],
  restarts: true,
  maxAttempts: 3,
});

export const SCENARIOS: readonly Scenario[] = [
  together,
  joining,
  leaving,
  contested,
  freezing,
  poisoned,
  parked,
  delayed,
  resized,
  visited,
  hurried,
  edited,
  jumping,
  crowded,
];

/** Small enough for all interleavings. */
export const SMALL_SCENARIOS: readonly Scenario[] = SCENARIOS.filter((scenario) => scenario !== crowded);
