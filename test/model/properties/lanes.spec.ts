import { describe, expect, it } from '@jest/globals';
import type { Message, PublishResult, StoredEntry } from '@cqrs-outbox/core';
import fc from 'fast-check';
import { BatchLimit, publishInLanes } from '../relay-internals.ts';

type Outcome = PublishResult['status'];

const outcomes = fc.constantFrom<Outcome>('published', 'published', 'published', 'refused', 'unavailable');
const batches = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), outcome: outcomes }), {
  maxLength: 20,
});

describe('A batch that is published in lanes', () => {
  it('keeps the order of each key, and holds back what follows a failure of it', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.scheduler(),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 25 }),
        async (batch, scheduler, maxLanes, permits) => {
          const messages = batch.map(({ key }, index) => ({ id: String(index), key }) as Message);
          const started: Message[] = [];
          const acknowledged: Message[] = [];
          let [asked, inFlight] = [0, 0];
          const publishOne = async (message: Message): Promise<PublishResult> => {
            started.push(message);
            expect(++inFlight).toBeLessThanOrEqual(maxLanes);
            await scheduler.schedule(Promise.resolve(), message.id);
            inFlight--;
            const { outcome } = batch[Number(message.id)]!;
            if (outcome === 'published') acknowledged.push(message);
            return { status: outcome, error: undefined };
          };
          const mayStart = (): boolean => asked++ < permits;
          const publishing = publishInLanes(messages, publishOne, { mayStart }, maxLanes);
          await scheduler.waitFor(publishing);
          const results = await publishing;

          expect(results).toHaveLength(messages.length);
          expect(started.length).toBeLessThanOrEqual(permits);
          for (const [, lane] of Map.groupBy(messages, ({ key }) => key)) {
            const statuses = lane.map(({ id }) => results[Number(id)]!.status);
            const firstFailed = statuses.findIndex((status) => status !== 'published');
            // Published, then perhaps one that failed, and all that follow it are held.
            if (firstFailed >= 0)
              expect(statuses.slice(firstFailed + 1).every((status) => status === 'held')).toBe(true);
            const tried = lane.slice(0, statuses.filter((status) => status !== 'held').length);
            expect(started.filter(({ key }) => key === lane[0]!.key)).toEqual(tried);
            expect(acknowledged.filter(({ key }) => key === lane[0]!.key)).toEqual(
              lane.filter((_, index) => statuses[index] === 'published'),
            );
          }
        },
      ),
    );
  });
});

describe('The size of the next batch', () => {
  const payloads = fc.array(fc.option(fc.integer({ min: 0, max: 64 * 1024 * 1024 })), { maxLength: 5 });

  it('is at least one entry, never over the configured size, and fits into memory', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.array(payloads), (batchSize, past) => {
        const limit = new BatchLimit(batchSize);
        expect(limit.entries).toBe(batchSize);
        for (const sizes of past) {
          // Only the length is looked at.
          const batch = sizes.map((length) => ({ payload: length === null ? null : { length } }));
          limit.record(batch as unknown as StoredEntry[]);
          expect(limit.entries).toBeGreaterThanOrEqual(1);
          expect(limit.entries).toBeLessThanOrEqual(batchSize);
          const bytes = sizes.reduce<number>((sum, length) => sum + (length ?? 0), 0);
          const average = bytes / Math.max(1, sizes.length);
          if (limit.entries > 1 && sizes.length > 0) {
            expect(limit.entries * average).toBeLessThanOrEqual(8 * 1024 * 1024);
          }
        }
      }),
    );
  });
});
