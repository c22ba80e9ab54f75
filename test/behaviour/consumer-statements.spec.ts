import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Outbox } from '@cqrs-outbox/core';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { OrderPaid } from '../support/orders.ts';
import { kindOf } from '../support/statement-kind.ts';
import { crateHeaders, createCrateApp, onKafka, PAYLOAD, type CrateApp } from './consumer-fixture.ts';

const HANDLED = ['begin, insert cqrs_inbox', 'select tally', 'update tally', 'commit'];

for (const { name, needs } of DATABASES.filter(({ name: database }) => database !== 'libsql')) {
  describeWith(needs, `the statements of a consumed message, on ${name}`, () => {
    let app: CrateApp;
    let counter: StatementCounter;

    beforeEach(async () => {
      app = await createCrateApp({ database: name });
      // The connection is opened, and set up, for the first one.
      counter = await StatementCounter.attach(app.orm);
      await app.consumer.consume(PAYLOAD, onKafka());
    });
    afterEach(() => app.close());

    const statementsFor = async (headers = crateHeaders()): Promise<string[]> => {
      counter.take();
      await app.consumer.consume(PAYLOAD, onKafka(headers));
      return counter.take().map(kindOf);
    };

    it('are those of its handler, its inbox row together with BEGIN, and COMMIT, and nothing else', async () => {
      expect(await statementsFor()).toEqual(HANDLED);
      expect(await app.crates()).toBe(2);
    });

    it('are the INSERT of its events before COMMIT, too: it may have to be cancelled when the time is over', async () => {
      app.behaviour.onCall = async () => app.app.get(Outbox).append(OrderPaid.of({ orderId: 1, step: 1 }));
      expect(await statementsFor()).toEqual([...HANDLED.slice(0, -1), 'insert cqrs_outbox', 'commit']);
    });

    it('are BEGIN with the inbox row that is refused, and COMMIT for a duplicate', async () => {
      const headers = crateHeaders();
      expect(await statementsFor(headers)).toEqual(HANDLED);
      expect(await statementsFor(headers)).toEqual(['begin, insert cqrs_inbox', 'commit']);
      expect(await app.crates()).toBe(2);
    });
  });
}
