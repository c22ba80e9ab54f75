/** What a level may be; zlib takes some others too, and then silently uses its nearest one. */
export interface LevelRange {
  readonly min: number;
  readonly max: number;
}

/** @throws RangeError for a level that is no integer in the range; at boot, when the compressor is tried out */
export function checkedLevel(contentEncoding: string, level: number, { min, max }: LevelRange): number {
  if (Number.isInteger(level) && level >= min && level <= max) return level;
  throw new RangeError(
    `the level of ${contentEncoding} is ${level}, but must be an integer from ${min} to ${max}`,
  );
}
