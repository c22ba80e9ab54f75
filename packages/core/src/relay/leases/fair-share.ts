/**
 * How many slots an instance should have: all have the same number, and the first ones one more where they don't divide
 * evenly. Every instance computes the same from the same list.
 *
 * @param instances in an order that all agree on
 */
export function fairShare(slotCount: number, instances: readonly string[], instance: string): number {
  const index = instances.indexOf(instance);
  if (index < 0) return 0;
  return Math.floor(slotCount / instances.length) + (index < slotCount % instances.length ? 1 : 0);
}
