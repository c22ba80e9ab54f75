import type { Message } from '../messages/message.js';
import { HELD, type PublishResult } from './transport.js';

/**
 * Publishes messages one by one, those of different keys at the same time and those of one key in order: the next one
 * starts when the one before it is acknowledged, so that a refused message is never overtaken.
 */
export async function publishInLanes(
  messages: readonly Message[],
  publishOne: (message: Message) => Promise<PublishResult>,
): Promise<PublishResult[]> {
  const lanes = Map.groupBy(messages.entries(), ([, { key }]) => key);
  const results = new Array<PublishResult>(messages.length).fill(HELD);
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const [index, message] of lane) {
        const result = await publishOne(message);
        results[index] = result;
        if (result.status !== 'published') return;
      }
    }),
  );
  return results;
}
