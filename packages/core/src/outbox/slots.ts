import { crc32 } from 'node:zlib';

/** How many slots a table can be divided into. */
export const MAX_SLOT_COUNT = 256;

/**
 * The slot of a key, as a row carries it: `slotCount * 256 + number`. Rows that were written with another count of slots
 * are thereby told from those of this one, whatever their number; 0 is what a row has that was written without a slot.
 */
export function slotOf(key: string, slotCount: number): number {
  return slotCount * MAX_SLOT_COUNT + (crc32(key) % slotCount);
}

/** All slots of a count, first to last: they are consecutive, and those of two counts never overlap. */
export function slotsOf(slotCount: number): { first: number; last: number } {
  const first = slotCount * MAX_SLOT_COUNT;
  return { first, last: first + slotCount - 1 };
}
