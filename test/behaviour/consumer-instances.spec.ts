import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, databaseOptions } from '../support/database.ts';
import { createCrateApp, crateHeaders, onKafka, PAYLOAD, type CrateApp } from './consumer-fixture.ts';

const MESSAGES = 20;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `two instances of a consumer on ${name}`, () => {
    let first: CrateApp;
    let second: CrateApp;
    const directory = mkdtempSync(join(tmpdir(), 'cqrs-outbox-'));

    beforeEach(async () => {
      const orm = databaseOptions(name);
      if (name === 'libsql') orm.dbName = join(directory, 'inbox.db');
      first = await createCrateApp({ database: name, orm, ownsDatabase: true });
      second = await createCrateApp({ database: name, orm });
    });
    afterEach(async () => {
      await second.close();
      await first.close();
      rmSync(directory, { recursive: true, force: true });
    });

    // libSQL's driver waits for a lock by blocking the thread, in which the other instance would have to release it.
    const isOneAfterTheOther = name === 'libsql';

    it('that get the same messages at the same time, or one after the other, have each take effect once', async () => {
      for (let n = 0; n < MESSAGES; n++) {
        const context = onKafka(crateHeaders());
        const deliveries = [first, second].map((app) => () => app.consumer.consume(PAYLOAD, context));
        if (isOneAfterTheOther) for (const deliver of deliveries) await deliver();
        else await Promise.all(deliveries.map((deliver) => deliver()));
      }
      expect(await first.crates()).toBe(MESSAGES);
      const counts = [first, second].map(({ consumer }) => consumer.counts);
      expect(counts.map(({ handled, duplicates }) => handled + duplicates)).toEqual([MESSAGES, MESSAGES]);
      expect(counts.reduce((sum, { handled }) => sum + handled, 0)).toBe(MESSAGES);
    }, 60_000);
  });
}
