import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { slotOf, slotsOf, type Lease, type OutboxEntry, type StoredEntry } from '@cqrs-outbox/core';
import type { StoreFixture } from '@cqrs-outbox/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { MikroORM as MariaDbOrm } from '@mikro-orm/mariadb';
import { MikroORM as PostgreSqlOrm } from '@mikro-orm/postgresql';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import { CompiledQuery, type DatabaseConnection } from 'kysely';
import { describeWith } from '../services/describe-with.ts';
import { databaseOptions, type DatabaseOptions } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { mikroOrmHarness } from './mikro-orm.harness.ts';

const SLOT_COUNT = 4;
const SLOT = slotsOf(SLOT_COUNT).first;
/** Long enough to see that a statement waits. */
const WAIT_MS = 300;

/** The writes of a relay that a lease allows, and what each returns when it had its effect. */
const WRITES: Record<string, (fixture: StoreFixture, entry: StoredEntry, lease: Lease) => Promise<boolean>> =
  {
    remove: async ({ outbox }, entry, lease) => (await outbox.remove([entry], [lease])) === 1,
    reschedule: ({ outbox }, entry, lease) =>
      outbox.reschedule(entry, 60_000, { error: 'refused', stack: undefined }, lease),
    bury: ({ outbox }, entry, lease) => outbox.bury(entry, { error: 'refused', stack: undefined }, lease),
    promote: async ({ outbox }, _entry, lease) => (await outbox.promote(lease, 10)).promoted === 1,
  };

const LEVELS = ['read committed', 'repeatable read'] as const;

for (const name of ['mariadb', 'postgres'] as const) {
  for (const level of LEVELS) {
    describeWith([name], `writes of a relay on ${name}, ${level}`, () => {
      let fixture: StoreFixture;
      let orm: MikroORM;
      let entry: StoredEntry;
      let lease: Lease;

      beforeAll(async () => {
        const options = withIsolation(databaseOptions(name), name, level);
        fixture = await mikroOrmHarness(true, () => options).open();
        fixture.unitOfWork.setHooks({
          collect: () => undefined,
          completePart: async () => undefined,
          beforeCommit: async (transaction) => transaction.insert(transaction.pending.takeEntries()),
          afterCommit: async () => undefined,
        });
        const Orm = name === 'mariadb' ? MariaDbOrm : PostgreSqlOrm;
        orm = await Orm.init({
          ...options,
          entities: [],
          discovery: { warnWhenNoEntities: false },
        } as never);
      });

      beforeEach(async () => {
        await fixture.clear?.();
        await fixture.unitOfWork.runInTransaction(async () =>
          fixture.unitOfWork.current()?.addEntries([entryOf(), entryOf({ availableAt: new Date(0) })]),
        );
        const selection = { destination: 'default', slots: [SLOT], slotCount: SLOT_COUNT, limitPerSlot: 1 };
        entry = (await fixture.outbox.fetch(selection)).entries[0]!;
        lease = await acquire(fixture, 'one');
      });

      afterAll(async () => {
        await orm.close();
        await fixture.close();
      });

      const counts = async (): Promise<number[]> => {
        const { backlogs, deadLetters, parkedKeyCount, delayed } = await fixture.status.read();
        return [backlogs[0]?.pending ?? 0, deadLetters.size, parkedKeyCount, delayed.get('default') ?? 0];
      };

      for (const [write, run] of Object.entries(WRITES)) {
        it(`${write} waits for a takeover that is not committed yet, and then does nothing`, async () => {
          const other = await begin(orm);
          await takeOver(other);
          let isDone = false;
          const writing = run(fixture, entry, lease).finally(() => (isDone = true));
          await delay(WAIT_MS);
          expect(isDone).toBe(false);
          await other.commit();
          expect(await writing).toBe(false);
          expect(await counts()).toEqual([1, 0, 0, 1]);
        });

        it(`${write} has its effect when the takeover that it waits for is rolled back`, async () => {
          const other = await begin(orm);
          await takeOver(other);
          const writing = run(fixture, entry, lease);
          await delay(WAIT_MS);
          await other.rollback();
          expect(await writing).toBe(true);
        });

        it(`${write} that is held up has its effect before a takeover, or none`, async () => {
          const holder = await begin(orm);
          // What it has to lock, at one moment of its course or another.
          for (const table of ['cqrs_outbox', 'cqrs_outbox_delayed'])
            await holder.execute(`select id from ${table} for update`);
          await holder.execute(
            `insert into cqrs_outbox_retry (destination, message_key, entry_id, attempts, last_error)
             values ('default', '${entry.key}', 0, 1, '')`,
          );
          let isDone = false;
          const writing = run(fixture, entry, lease).finally(() => (isDone = true));
          await delay(WAIT_MS);
          expect(isDone).toBe(false);
          const other = await begin(orm);
          const done: string[] = [];
          const taking = takeOver(other)
            .then(() => other.commit())
            .then(() => done.push('takeover'));
          await delay(WAIT_MS);
          const isTakenFirst = done.length > 0;
          await holder.rollback();
          const [hadEffect] = await Promise.all([writing, taking]);
          if (isTakenFirst) expect(hadEffect).toBe(false);
          const [pending = 0, letters = 0, , delayed = 0] = await counts();
          // Between two steps of one write too: what it has not done to the end, the next owner does again. Of a burial the
          // letter may be there already, beside its entry: see buryEntry.
          if (!hadEffect) expect([pending >= 1, delayed]).toEqual([true, 1]);
          if (!hadEffect && write !== 'bury') expect(letters).toBe(0);
        });
      }

      it('takes no slot whose owner is there still, and takes it once that one has withdrawn', async () => {
        await fixture.leases.register('two', SLOT_COUNT, 60_000);
        await fixture.leases.acquire('two', [{ ...lease, owner: undefined }]);
        expect(await ownerOf(fixture)).toMatchObject({ owner: 'one', epoch: lease.epoch });
        await fixture.leases.withdraw('one');
        await eventually(async () => {
          await fixture.leases.acquire('two', [{ ...lease, owner: undefined }]);
          expect(await ownerOf(fixture)).toMatchObject({ owner: 'two', epoch: lease.epoch + 1 });
        });
        for (const run of Object.values(WRITES)) expect(await run(fixture, entry, lease)).toBe(false);
        expect(await counts()).toEqual([1, 0, 0, 1]);
      });
    });
  }
}

/** What the server takes for the level of its sessions, as an operator may have set it. */
function withIsolation(
  options: DatabaseOptions,
  name: 'mariadb' | 'postgres',
  level: (typeof LEVELS)[number],
): DatabaseOptions {
  const statement =
    name === 'mariadb'
      ? `set session transaction isolation level ${level}`
      : `set session characteristics as transaction isolation level ${level}`;
  const onCreateConnection = async (connection: DatabaseConnection): Promise<void> => {
    await connection.executeQuery(CompiledQuery.raw(statement));
  };
  return { ...options, onCreateConnection } as DatabaseOptions;
}

function entryOf(given: Partial<OutboxEntry> = {}): OutboxEntry {
  const id = randomUUID();
  return {
    id,
    destination: 'default',
    name: 'fence',
    version: 1,
    source: 'tests',
    topic: 'tests',
    key: keyOfSlot(),
    occurredAt: new Date(),
    correlationId: id,
    causationId: undefined,
    contentEncoding: undefined,
    contentType: 'text/plain',
    headers: {},
    payload: null,
    slot: SLOT,
    deadLetterPolicy: 'continue',
    availableAt: undefined,
    strictOrder: false,
    ...given,
  };
}

function keyOfSlot(): string {
  for (let number = 0; ; number++) if (slotOf(String(number), SLOT_COUNT) === SLOT) return String(number);
}

async function acquire({ leases }: StoreFixture, instance: string): Promise<Lease> {
  await leases.register(instance, SLOT_COUNT, 60_000);
  const { slots } = await leases.read(SLOT_COUNT);
  await leases.acquire(instance, slots);
  return { slot: SLOT, owner: instance, epoch: slots[0]!.epoch + 1 };
}

async function ownerOf({ leases }: StoreFixture): Promise<unknown> {
  return (await leases.read(SLOT_COUNT)).slots.find(({ slot }) => slot === SLOT);
}

async function begin(orm: MikroORM): Promise<EntityManager> {
  const em = orm.em.fork();
  await em.begin();
  return em;
}

/** What an acquisition does, in a transaction that lasts. */
async function takeOver(em: EntityManager): Promise<void> {
  await em.execute(`update cqrs_outbox_slot set owner = 'two', epoch = epoch + 1 where slot = ${SLOT}`);
}
