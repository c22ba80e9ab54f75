import { describe, expect, it } from '@jest/globals';
import { assert, property, string, integer } from 'fast-check';
import { Partitioners } from 'kafkajs';
import { partitionOf } from './murmur2.js';

/** The whole hash, but for its sign. */
const hashOf = (key: string): number => partitionOf(Buffer.from(key), 0x80000000);

describe('the partition of a key', () => {
  // The test vector of Kafka's own Java client: UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])("is that of Kafka's Java client: %s", (key, hash) => {
    expect(hashOf(key)).toBe(hash & 0x7fffffff);
  });

  it('is that of kafkajs', () => {
    const partitioner = Partitioners.DefaultPartitioner();
    const byKafkajs = (key: string, count: number): number =>
      partitioner({
        topic: 'any',
        partitionMetadata: Array.from({ length: count }, (_, partitionId) => partitionMetadata(partitionId)),
        message: { key, value: null },
      });
    assert(
      property(string({ unit: 'binary', maxLength: 40 }), integer({ min: 1, max: 50 }), (key, count) => {
        expect(partitionOf(Buffer.from(key), count)).toBe(byKafkajs(key, count));
      }),
    );
  });
});

function partitionMetadata(partitionId: number) {
  return { partitionId, leader: 1, isr: [1], replicas: [1], partitionErrorCode: 0 };
}
