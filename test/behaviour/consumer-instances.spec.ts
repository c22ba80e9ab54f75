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
      // Waits that SQLite's one writer needs.
      const consumer = { maxAttempts: 50, minBackoffMs: 1, maxBackoffMs: 50 };
      first = await createCrateApp({ database: name, orm, ownsDatabase: true }, { consumer });
      second = await createCrateApp({ database: name, orm }, { consumer });
    });
    afterEach(async () => {
      await second.close();
      await first.close();
      rmSync(directory, { recursive: true, force: true });
    });

    it('that get the same messages at the same time have each take effect once', async () => {
      for (let n = 0; n < MESSAGES; n++) {
        const headers = crateHeaders();
        await Promise.all([first, second].map(({ consumer }) => consumer.consume(PAYLOAD, onKafka(headers))));
      }
      expect(await first.crates()).toBe(MESSAGES);
      const counts = [first, second].map(({ consumer }) => consumer.counts);
      expect(counts.reduce((sum, { handled }) => sum + handled, 0)).toBe(MESSAGES);
      expect(counts.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(MESSAGES);
    }, 60_000);
  });
}
