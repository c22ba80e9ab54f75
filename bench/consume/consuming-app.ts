import {
  CqrsOutboxModule,
  EventConsumer,
  EventHandler,
  NullTransport,
  type ConsumerOptions,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import { Inject, type INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { UPDATE, type AccountDatabase } from './account-database.ts';
import { Credited } from './credited.ts';

/** Adds the money to the account by one statement, in the transaction of its inbox row. */
class CreditAccount implements HandlesEvent<Credited> {
  readonly #em: SqlEntityManager;

  constructor(em: SqlEntityManager) {
    this.#em = em;
  }

  async handle({ account, amount }: Credited): Promise<void> {
    await this.#em.execute(UPDATE, [amount, account]);
  }
}

Inject(EntityManager)(CreditAccount, undefined, 0);
EventHandler(Credited)(CreditAccount);

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class ConsumingModule {}

export interface ConsumingApp {
  readonly consumer: EventConsumer;
  /** From here on it consumes. */
  listen(): Promise<void>;
  close(): Promise<void>;
}

/** What a user has who does nothing but consume: a Nest microservice with the module and one handler. */
export async function createConsumingApp(
  { ormOptions }: AccountDatabase,
  topic: string,
  server: MicroserviceOptions,
  batch: NonNullable<ConsumerOptions['batch']>,
): Promise<ConsumingApp> {
  const imports = [
    MikroOrmModule.forRoot({ ...ormOptions, entities: [...outboxEntities] }),
    ScheduleModule.forRoot(),
    CqrsOutboxModule.forRoot({
      source: 'bench',
      store: MikroOrmOutbox,
      transport: new NullTransport(),
      relay: false,
      consume: [topic],
      consumer: { batch },
    }),
  ];
  const app: INestMicroservice = await NestFactory.createMicroservice<MicroserviceOptions>(
    { module: ConsumingModule, imports, providers: [CreditAccount] },
    { ...server, logger: ['fatal', 'error', 'warn'], abortOnError: false },
  );
  return {
    consumer: app.get(EventConsumer, { strict: false }),
    listen: async () => {
      await app.listen();
    },
    close: () => app.close(),
  };
}
