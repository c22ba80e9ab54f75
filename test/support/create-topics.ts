import type { Admin, ITopicConfig } from 'kafkajs';
import { eventually } from './eventually.ts';

/**
 * Creates topics, and waits until their partitions have leaders. kafkajs's own `waitForLeaders` gives up when the broker
 * does not know of the new topic yet.
 */
export async function createTopics(admin: Admin, ...topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  await eventually(async () => {
    const metadata = await admin.fetchTopicMetadata({ topics: names });
    const leaders = metadata.topics.flatMap(({ partitions }) => partitions.map(({ leader }) => leader));
    if (leaders.length === 0 || leaders.some((leader) => leader < 0))
      throw new Error('There is no leader yet');
  });
}
