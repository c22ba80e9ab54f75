import { afterEach, expect, it } from '@jest/globals';
import {
  EventHandler,
  NonRetryableError,
  type ConsumerOptions,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import {
  Catch,
  Injectable,
  UseFilters,
  UseInterceptors,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { retry } from 'rxjs';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { Tally } from '../support/orders.ts';
import { CratePacked, createCrateApp, onKafka, PAYLOAD, QUICK, type CrateApp } from './consumer-fixture.ts';

/** What the handlers have seen or done, and which message fails, how often. */
class Record {
  readonly seen: string[] = [];
  failures = 0;

  noteAndFail({ crateId }: CratePacked): void {
    this.seen.push(String(crateId));
    if (crateId === 3 && this.failures-- > 0) throw new Error('not this one');
  }
}

/** Each message belongs to a tenant: for MikroORM's filters, and for the database's session. */
@Injectable()
class SetsTenant implements NestInterceptor {
  constructor(private readonly em: EntityManager) {}

  intercept(execution: ExecutionContext, next: CallHandler) {
    const [{ crateId }] = execution.getArgs<[CratePacked, MessageContext]>();
    this.em.addFilter({ name: 'tenant', cond: { name: `tenant ${crateId}` }, entity: [Tally] });
    return next.handle();
  }
}

@EventHandler(CratePacked)
@UseInterceptors(SetsTenant)
class ReadsOfTenant implements HandlesEvent<CratePacked> {
  constructor(
    private readonly em: EntityManager,
    private readonly record: Record,
  ) {}

  async handle(): Promise<void> {
    const tallies = await this.em.find(Tally, {});
    this.record.seen.push(tallies.map(({ name }) => name).join());
  }
}

@Injectable()
class SetsSession implements NestInterceptor {
  constructor(private readonly em: EntityManager) {}

  intercept(execution: ExecutionContext, next: CallHandler) {
    const [{ crateId }] = execution.getArgs<[CratePacked, MessageContext]>();
    this.em.setSessionContext({ variables: { 'app.tenant': `tenant ${crateId}` } });
    return next.handle();
  }
}

@EventHandler(CratePacked)
@UseInterceptors(SetsSession)
class ReadsSession implements HandlesEvent<CratePacked> {
  constructor(
    private readonly em: EntityManager,
    private readonly record: Record,
  ) {}

  async handle(): Promise<void> {
    const sql = `select current_setting('app.tenant', true) as tenant`;
    const [row] = await (this.em as SqlEntityManager).execute<{ tenant: string }[]>(sql);
    this.record.seen.push(String(row?.tenant));
  }
}

@Catch()
class GivesUp implements ExceptionFilter<Error> {
  catch(error: Error): never {
    throw new NonRetryableError(`translated: ${error.message}`);
  }
}

@Injectable()
abstract class FailsNowAndThen implements HandlesEvent<CratePacked> {
  constructor(private readonly record: Record) {}

  async handle(event: CratePacked): Promise<void> {
    this.record.noteAndFail(event);
  }
}

@EventHandler(CratePacked)
@UseFilters(GivesUp)
class Translated extends FailsNowAndThen {}

class RetriesTwice implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(retry(2));
  }
}

@EventHandler(CratePacked)
@UseInterceptors(RetriesTwice)
class Retried extends FailsNowAndThen {}

const TOGETHER: ConsumerOptions = { ...QUICK, batch: { maxMessages: 50, maxTransactions: 1 } };

for (const { name, needs } of DATABASES) {
  describeWith(needs, `handlers with enhancers that share a transaction, on ${name}`, () => {
    let app: CrateApp;
    let record: Record;

    const start = async (...providers: Type[]): Promise<void> => {
      record = new Record();
      const fixed = { provide: Record, useValue: record };
      app = await createCrateApp({ database: name }, { consumer: TOGETHER }, [fixed, ...providers]);
    };
    const consumeAll = (): Promise<unknown> =>
      Promise.all(
        [1, 2, 3].map((crateId) => app.consumer.consume(PAYLOAD, onKafka(undefined, undefined, { crateId }))),
      );

    afterEach(() => app.close());

    it('have each the filters that its interceptor has set', async () => {
      await start(ReadsOfTenant, SetsTenant);
      const tenants = [1, 2, 3].map((id) => ({ name: `tenant ${id}`, count: 0 }));
      await app.orm.em.fork().insertMany(Tally, tenants);
      await consumeAll();
      expect(record.seen).toEqual(['tenant 1', 'tenant 2', 'tenant 3']);
    });

    it('are done where a filter makes another error of what another message has failed for', async () => {
      await start(Translated);
      record.failures = 1;
      await consumeAll();
      expect(await app.letters()).toEqual([]);
      expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts: 0, deadLettered: 0 });
    });

    it('are alone from the second time on, when an interceptor runs them again', async () => {
      await start(Retried);
      record.failures = 3;
      await consumeAll();
      expect(record.seen.slice(0, 3)).toEqual(['1', '2', '3']);
      expect(record.seen.slice(3).sort()).toEqual(['1', '2', '3', '3', '3']);
      expect(app.consumer.counts).toMatchObject({ handled: 3, deadLettered: 0 });
    });

    if (name !== 'postgres') return;

    it('are alone where an interceptor has set the session of its transaction', async () => {
      await start(ReadsSession, SetsSession);
      await consumeAll();
      expect(record.seen.sort()).toEqual(['tenant 1', 'tenant 2', 'tenant 3']);
    });
  });
}
