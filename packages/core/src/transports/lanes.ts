import type { Message } from '../messages/message.js';
import { HELD, UNLIMITED, type PublishOptions, type PublishResult } from './transport.js';

/**
 * Publishes messages one by one, those of different keys at the same time and those of one key in order: the next one
 * starts when the one before it is acknowledged, so that a refused message is never overtaken.
 *
 * @param maxLanes how many keys at the same time
 */
export async function publishInLanes(
  messages: readonly Message[],
  publishOne: (message: Message) => Promise<PublishResult>,
  { mayStart }: PublishOptions = UNLIMITED,
  maxLanes = Infinity,
): Promise<PublishResult[]> {
  const lanes = [...Map.groupBy(messages.entries(), ([, { key }]) => key).values()];
  const results = new Array<PublishResult>(messages.length).fill(HELD);
  const publishLane = async (lane: readonly [number, Message][]): Promise<void> => {
    for (const [index, message] of lane) {
      if (!mayStart()) return;
      const result = await publishOne(message);
      results[index] = result;
      if (result.status !== 'published') return;
    }
  };
  const work = async (): Promise<void> => {
    for (let lane = lanes.shift(); lane; lane = lanes.shift()) await publishLane(lane);
  };
  await Promise.all(Array.from({ length: Math.min(lanes.length, maxLanes) }, work));
  return results;
}
