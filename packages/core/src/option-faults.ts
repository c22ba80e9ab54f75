/** Of a group of options: what is no object, and names that are unknown. */
export function sectionFaults(name: string, given: unknown, known: readonly string[]): string[] {
  if (given === undefined) return [];
  return isRecord(given) ? unknownKeys(given, known, `${name}.`) : [`${name} must be an object`];
}

/** One fault for each name that is no option. */
export function unknownKeys(given: object, known: readonly string[], prefix: string): string[] {
  return Object.keys(given)
    .filter((key) => !known.includes(key))
    .map((key) => `${prefix}${key} is no option; known are ${known.join(', ')}`);
}

/** A fault unless `value` is an integer of that range. */
export function integerFault(name: string, value: unknown, min: number, max: number): string[] {
  const isValid = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  return isValid ? [] : [`${name} is ${String(value)}, but must be an integer from ${min} to ${max}`];
}

/** What was given, so that defaults can be spread under it. */
export function withoutUndefined<T extends object>(value: T | undefined): Partial<T> {
  const entries = isRecord(value) ? Object.entries(value).filter(([, item]) => item !== undefined) : [];
  return Object.fromEntries(entries) as Partial<T>;
}

/** Whether `value` is an object and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
