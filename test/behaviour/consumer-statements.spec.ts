import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { kindOf, statementsOf } from '../support/statement-log.ts';
import { crateHeaders, createCrateApp, onKafka, PAYLOAD, type CrateApp } from './consumer-fixture.ts';

const HANDLED = ['begin', 'insert cqrs_inbox', 'select tally', 'update tally', 'commit'];

for (const { name, needs } of DATABASES.filter(({ name: database }) => database !== 'libsql')) {
  describeWith(needs, `the statements of a consumed message, on ${name}`, () => {
    let app: CrateApp;

    beforeEach(async () => {
      app = await createCrateApp({ database: name });
      // The connection is opened, and set up, for the first one.
      await app.consumer.consume(PAYLOAD, onKafka());
    });
    afterEach(() => app.close());

    const statementsFor = async (headers = crateHeaders()): Promise<string[]> => {
      const context = onKafka(headers);
      const statements = await statementsOf(() => app.consumer.consume(PAYLOAD, context));
      return statements.map(kindOf);
    };

    it('are those of its handler, its inbox row, BEGIN and COMMIT, and nothing else', async () => {
      expect(await statementsFor()).toEqual(HANDLED);
      expect(await app.crates()).toBe(2);
    });

    it('are BEGIN, the inbox row that is refused, and ROLLBACK for a duplicate', async () => {
      const headers = crateHeaders();
      expect(await statementsFor(headers)).toEqual(HANDLED);
      expect(await statementsFor(headers)).toEqual(['begin', 'insert cqrs_inbox', 'rollback']);
      expect(await app.crates()).toBe(2);
    });
  });
}
