import type { Admin, ITopicConfig } from 'kafkajs';
import { eventually } from './eventually.ts';

/**
 * Creates topics, and waits until each of their partitions answers. kafkajs's own `waitForLeaders` gives up when the broker
 * does not know of the new topic yet, and a request that one partition does not take is sent again for all.
 */
export async function createTopics(admin: Admin, ...topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  for (const { topic, numPartitions = 1 } of topics) {
    await eventually(async () => {
      const { length } = await admin.fetchTopicOffsets(topic);
      if (length !== numPartitions) throw new Error(`${length} of ${numPartitions} partitions are there`);
    });
  }
}
