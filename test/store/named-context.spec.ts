import { expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  CqrsOutboxModule,
  NullTransport,
  Outbox,
  RequestMediator,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { MikroOrmOutbox, createOutboxSchema, outboxEntities } from '@cqrs-outbox/mikro-orm';
import type { EntityManager } from '@mikro-orm/core';
import { InjectEntityManager, MikroOrmModule, getMikroORMToken } from '@mikro-orm/nestjs';
import type { MikroORM } from '@mikro-orm/sql';
import { Test } from '@nestjs/testing';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, databaseOptions, dropDatabase } from '../support/database.ts';
import { Order, OrderPaid, testEntities } from '../support/orders.ts';
import { silentLogger } from '../support/silent-logger.ts';

class Pay extends Command {
  orderId!: number;
}

@CommandHandler(Pay)
class PayHandler implements RequestHandler<Pay> {
  constructor(
    @InjectEntityManager('billing') private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async execute({ orderId }: Pay): Promise<void> {
    (await this.em.findOneOrFail(Order, orderId)).status = 'paid';
    this.outbox.append(OrderPaid.of({ orderId, step: 1 }));
  }
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `a named MikroORM on ${name}`, () => {
    it('has the outbox in its own database, beside another MikroORM', async () => {
      const [shop, billing] = [databaseOptions(name), databaseOptions(name)];
      const entities = [...testEntities, ...outboxEntities];
      const module = await Test.createTestingModule({
        imports: [
          MikroOrmModule.forRoot({
            ...shop,
            contextName: 'shop',
            entities,
            registerRequestContext: false,
            logger: () => undefined,
          }),
          MikroOrmModule.forRoot({
            ...billing,
            contextName: 'billing',
            entities,
            registerRequestContext: false,
            logger: () => undefined,
          }),
          CqrsOutboxModule.forRoot({
            source: 'tests',
            transport: new NullTransport(),
            relay: false,
            store: MikroOrmOutbox.forContext('billing'),
          }),
        ],
        providers: [PayHandler],
      })
        .setLogger(silentLogger)
        .compile();
      const orms = ['shop', 'billing'].map((context) => module.get<MikroORM>(getMikroORMToken(context)));
      for (const orm of orms) {
        await orm.schema.ensureDatabase();
        await createOutboxSchema(orm);
        await orm.schema.update({ safe: true });
        await orm.em.fork().insert(Order, { id: 1, status: 'new' });
      }
      await module.init();

      await module.get(RequestMediator).send(Pay.of({ orderId: 1 }));

      const rows = await Promise.all(
        orms.map((orm) => orm.em.fork().getConnection().execute<object[]>('select * from cqrs_outbox')),
      );
      expect(rows.map(({ length }) => length)).toEqual([0, 1]);
      const statuses = await Promise.all(
        orms.map(async (orm) => (await orm.em.fork().findOneOrFail(Order, 1)).status),
      );
      expect(statuses).toEqual(['new', 'paid']);
      // Another database's transaction has no outbox.
      await orms[0]!.em.fork().transactional(async () => {
        expect(() => module.get(Outbox).append(OrderPaid.of({ orderId: 1, step: 1 }))).toThrow(
          /no transaction is open/,
        );
      });
      await module.close();
      for (const options of [shop, billing]) await dropDatabase(options);
    });
  });
}
