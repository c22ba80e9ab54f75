const SEED = 0x9747b28c;
const FACTOR = 0x5bd1e995;

/**
 * The partition of a key: the one that Kafka's Java client, and kafkajs by its default, choose for it too, so that a key
 * stays where it is when a publisher changes its client.
 */
export function partitionOf(key: Buffer, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount;
}

/** MurmurHash 2 as Kafka has it (`org.apache.kafka.common.utils.Utils.murmur2`), a signed 32-bit number. */
function murmur2(data: Buffer): number {
  const { length } = data;
  const whole = length - (length % 4);
  let hash = SEED ^ length;
  for (let index = 0; index < whole; index += 4) {
    let word = Math.imul(data.readInt32LE(index), FACTOR);
    word = Math.imul(word ^ (word >>> 24), FACTOR);
    hash = Math.imul(hash, FACTOR) ^ word;
  }
  if (whole < length) hash = Math.imul(hash ^ data.readUIntLE(whole, length - whole), FACTOR);
  hash = Math.imul(hash ^ (hash >>> 13), FACTOR);
  return hash ^ (hash >>> 15);
}
