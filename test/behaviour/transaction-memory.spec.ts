import { getHeapSpaceStatistics } from 'node:v8';
import { describe, expect, it } from '@jest/globals';
import { collectGarbage } from '../support/collect-garbage.ts';
import { createCrateApp, crateHeaders, onKafka, PAYLOAD } from './consumer-fixture.ts';

/** What has survived minor collections, and waits for a major one. */
function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')!.space_used_size;
}

describe('the transaction of a handler', () => {
  it('is garbage at its end, of the kind that is collected soon', async () => {
    const app = await createCrateApp({ database: 'libsql' });
    const consume = async (messages: number): Promise<void> => {
      for (let count = 1; count <= messages; count++) {
        await app.consumer.consume(PAYLOAD, onKafka(crateHeaders()));
        if (count % 20 === 0) collectGarbage({ type: 'minor' });
      }
    };
    // What is made once is old by then.
    await consume(300);
    const before = oldBytes();
    await consume(500);
    const each = (oldBytes() - before) / 500;
    expect(each).toBeLessThan(5_000);
    await app.close();
  });
});
