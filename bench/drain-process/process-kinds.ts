import type { ProcessKind } from './drain-in-process.ts';

/**
 * The heap that Node gives itself in a container of 512 MB, its young generation included: `heap_size_limit` and the size
 * of the new space are the same in a cgroup with `memory.limit_in_bytes` of 536,870,912. Where the machine has much memory
 * and no limit, it collects late.
 */
const CONTAINER = { name: 'container of 512 MB', flags: ['--max-heap-size=259'] };

/** The relay with each client. */
const RELAYS: readonly (ProcessKind & { readonly what: string })[] = [
  { what: 'client of Nest', client: 'nest', flags: [] },
  { what: `client of Nest, ${CONTAINER.name}`, client: 'nest', flags: CONTAINER.flags },
  { what: '@platformatic/kafka', client: 'platformatic', flags: [] },
  { what: `@platformatic/kafka, ${CONTAINER.name}`, client: 'platformatic', flags: CONTAINER.flags },
];

/** The processes whose memory is measured; the first is there to compare with. */
export const PROCESS_KINDS = [
  { what: 'hand-written loop', client: 'hand-written loop', flags: [], isFloor: true } as const,
  ...RELAYS.map((relay) => ({ ...relay, isFloor: false })),
];
