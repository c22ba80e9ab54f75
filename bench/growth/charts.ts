import type { BacklogShape } from '../app/backlog.ts';
import type { AppSettings } from '../app/start-app.ts';
import type { ServerDatabase } from '../servers/outbox-database.ts';

/** A step of what grows. */
export interface Step {
  readonly x: number;
  /** How many entries are drained. */
  readonly size: number;
  readonly shape?: BacklogShape;
  readonly options?: AppSettings['options'];
  /** How many destinations share the entries. */
  readonly destinations?: number;
  /** Done once, before the first run of this step; steps run in their order. */
  readonly prepare?: (database: ServerDatabase) => Promise<void>;
}

export interface Chart {
  readonly name: string;
  readonly axis: string;
  readonly steps: readonly Step[];
}

const SIZE = 10_000;
const DAY_MS = 86_400_000;
const KILOBYTE = 1_024;
/** Of payloads in one drain, so that the large ones take no longer than the small ones. */
const MAX_BYTES = 64 * KILOBYTE ** 2;

/** What is counted from 0 stands at 1 on a logarithmic axis. */
const NONE = 1;

export const CHARTS: readonly Chart[] = [
  {
    name: 'payload',
    axis: 'bytes of payload',
    steps: [300, 4 * KILOBYTE, 32 * KILOBYTE, 256 * KILOBYTE].map((payloadBytes) => ({
      x: payloadBytes,
      size: Math.min(SIZE, MAX_BYTES / payloadBytes),
      shape: { payloadBytes },
    })),
  },
  {
    name: 'keys',
    axis: 'keys that the entries are spread over',
    steps: [1, 100, 10_000, 1_000_000].map((keys) => ({ x: keys, size: SIZE, shape: { keys } })),
  },
  {
    name: 'slots',
    axis: 'slots, all leased by one relay',
    steps: [1, 4, 16, 64, 256].map((slots) => ({
      x: slots,
      size: SIZE,
      shape: { slots },
      options: { slots },
    })),
  },
  {
    name: 'destinations',
    axis: 'destinations that share the entries',
    steps: [1, 2, 4, 8].map((destinations) => ({ x: destinations, size: SIZE, destinations })),
  },
  {
    name: 'dead-letters',
    axis: 'dead letters beside (1: none)',
    steps: [
      { x: NONE, size: SIZE },
      ...besideSteps('cqrs_outbox_dead_letter', [1_000, 10_000, 100_000]).map((step) => ({
        ...step,
        size: SIZE,
      })),
    ],
  },
  {
    name: 'archive',
    axis: 'archived rows beside, the drained entries archived too (1: none)',
    steps: [{ x: NONE }, ...besideSteps('cqrs_outbox_archive', [10_000, 100_000, 1_000_000])].map((step) => ({
      ...step,
      size: SIZE,
      options: { housekeeping: { archiveRetentionMs: DAY_MS } },
    })),
  },
];

/** Each adds what is missing to the step before it. */
function besideSteps(table: Parameters<ServerDatabase['fillBeside']>[0], sizes: readonly number[]) {
  return sizes.map((x, index) => ({
    x,
    prepare: (database: ServerDatabase) => database.fillBeside(table, sizes[index - 1] ?? 0, x),
  }));
}
