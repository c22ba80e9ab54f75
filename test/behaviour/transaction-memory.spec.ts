import { getHeapSpaceStatistics } from 'node:v8';
import { describe, expect, it } from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { DATABASES, type DatabaseName } from '../support/database.ts';
import { SetStatusApp } from '../support/set-status-app.ts';
import { createCrateApp, crateHeaders, onKafka, PAYLOAD } from './consumer-fixture.ts';

/** Of what the drivers and Kysely leave; what an event has comes on top where something of ours leads to it. */
const MAX_BYTES_OF_A_COMMAND: Record<DatabaseName, number> = {
  libsql: 1_500,
  mariadb: 3_000,
  postgres: 5_400,
};

/** What has survived minor collections, and waits for a major one. */
function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')!.space_used_size;
}

/** How much of each run survives minor collections, in bytes. */
async function leftOfEach(run: () => Promise<void>): Promise<number> {
  const runAll = async (times: number): Promise<void> => {
    for (let count = 1; count <= times; count++) {
      await run();
      if (count % 20 === 0) collectGarbage({ type: 'minor' });
    }
  };
  // What is made once is old by then.
  await runAll(300);
  const before = oldBytes();
  await runAll(500);
  return (oldBytes() - before) / 500;
}

describe('the transaction of a handler', () => {
  it('is garbage at its end, of the kind that is collected soon', async () => {
    const app = await createCrateApp({ database: 'libsql' });
    try {
      const each = await leftOfEach(() => app.consumer.consume(PAYLOAD, onKafka(crateHeaders())));
      expect(each).toBeLessThan(2_200);
    } finally {
      await app.close();
    }
  });
});

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the transaction of a command on ${name}`, () => {
    it('is garbage at its end, of the kind that is collected soon', async () => {
      const app = await SetStatusApp.start(name);
      let sent = 0;
      try {
        const each = await leftOfEach(() => app.send(`status ${++sent}`));
        expect(each).toBeLessThan(MAX_BYTES_OF_A_COMMAND[name]);
      } finally {
        await app.close();
      }
    });
  });
}
