import type { ProcessKind } from './drain-in-process.ts';

/** As Node sets itself up where little memory is allowed: without, it collects late where the machine has much. */
const SMALL = ['--max-old-space-size=128', '--max-semi-space-size=8'];

/** The relay with each client. */
const RELAYS: readonly (ProcessKind & { readonly what: string })[] = [
  { what: 'client of Nest', client: 'nest', flags: [] },
  { what: 'client of Nest, heap of 128 MB', client: 'nest', flags: SMALL },
  { what: '@platformatic/kafka', client: 'platformatic', flags: [] },
  { what: '@platformatic/kafka, heap of 128 MB', client: 'platformatic', flags: SMALL },
];

/** The processes whose memory is measured; the first is there to compare with. */
export const PROCESS_KINDS = [
  { what: 'hand-written loop', client: 'hand-written loop', flags: [], isFloor: true } as const,
  ...RELAYS.map((relay) => ({ ...relay, isFloor: false })),
];
