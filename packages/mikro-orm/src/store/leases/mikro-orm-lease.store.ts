import { LeaseStore, slotsOf, type Lease, type RelayInstance, type SlotOwner } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { byPrimaryKey, ignoringConflicts, overwriting, writtenRows } from '../statements.js';

/** Guests divide the keys as those do whose slots they take, but have no share. */
const GUEST = 0;

/**
 * The tables of relay instances and slots. An instance is deleted by one statement, and a slot is taken by one that
 * finds its owner deleted, so that both are decided by whichever came first.
 */
export class MikroOrmLeaseStore extends LeaseStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async register(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    await this.connection.withLockRetries(async (client) => {
      await this.addSlots(client, slotCount);
      await this.addInstance(client, { instance, slotCount, leaseMs });
    });
  }

  async registerGuest(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    await this.connection.withLockRetries(async (client) => {
      await this.addSlots(client, slotCount);
      await this.addInstance(client, { instance, slotCount: GUEST, leaseMs });
    });
  }

  async renew(instance: string, leaseMs: number): Promise<boolean> {
    const result = await this.connection.withLockRetries((client) =>
      sql`
        update cqrs_outbox_relay
        set lease_ms = ${sql.lit(leaseMs)}, expires_at = ${this.connection.now} + ${sql.lit(leaseMs)}
        where instance = ${instance}`.execute(client),
    );
    return writtenRows(result) > 0;
  }

  async withdraw(instance: string): Promise<void> {
    await this.connection.withLockRetries((client) =>
      client.deleteFrom('cqrs_outbox_relay').where('instance', '=', instance).execute(),
    );
  }

  async expire(instance: string): Promise<void> {
    const { now } = this.connection;
    await this.connection.withLockRetries((client) =>
      sql`
        delete from cqrs_outbox_relay
        where instance = ${instance} and (expires_at <= ${now} or expires_at > ${now} + lease_ms)`.execute(
        client,
      ),
    );
  }

  async read(slotCount: number): Promise<{ slots: SlotOwner[]; instances: RelayInstance[] }> {
    const client = await this.connection.client();
    // Slots first: an owner that is missing among the instances is then one that is gone, not one that has just come.
    const slots = await this.readSlots(client, slotCount);
    const instances = await this.readInstances(client);
    const names = new Set(instances.map(({ instance }) => instance));
    const isThere = (owner: string | undefined): boolean => owner !== undefined && names.has(owner);
    return {
      slots: slots.map((slot) => ({ ...slot, owner: isThere(slot.owner) ? slot.owner : undefined })),
      instances,
    };
  }

  async acquire(instance: string, slots: readonly SlotOwner[]): Promise<void> {
    if (slots.length === 0) return;
    const asRead = slots.map(({ slot, epoch }) => sql`(slot = ${slot} and epoch = ${epoch})`);
    await this.connection.withLockRetries((client) =>
      sql`
        update cqrs_outbox_slot ${byPrimaryKey(this.connection.dialect)} set owner = ${instance}, epoch = epoch + 1
        where (${sql.join(asRead, sql` or `)})
          and (owner is null
            or not exists (select 1 from cqrs_outbox_relay r where r.instance = cqrs_outbox_slot.owner))
          and exists (select 1 from cqrs_outbox_relay r where r.instance = ${instance})`.execute(client),
    );
  }

  async release({ slot, owner, epoch }: Lease): Promise<void> {
    await this.connection.withLockRetries((client) =>
      client
        .updateTable('cqrs_outbox_slot')
        .set({ owner: null })
        .where('slot', '=', slot)
        .where('owner', '=', owner)
        .where('epoch', '=', epoch)
        .execute(),
    );
  }

  /** Only those that are missing: an INSERT of a row that is there would wait for whoever has it locked. */
  private async addSlots(client: OutboxKysely, slotCount: number): Promise<void> {
    const { first, last } = slotsOf(slotCount);
    const present = new Set((await this.readSlots(client, slotCount)).map(({ slot }) => slot));
    const missing = Array.from({ length: last - first + 1 }, (_, number) => first + number).filter(
      (slot) => !present.has(slot),
    );
    if (missing.length === 0) return;
    const rows = missing.map((slot) => sql`(${sql.lit(slot)}, null, 0)`);
    await sql`
      insert into cqrs_outbox_slot (slot, owner, epoch) values ${sql.join(rows)}
      ${ignoringConflicts(this.connection.dialect, 'cqrs_outbox_slot', 'slot')}`.execute(client);
  }

  private async addInstance(
    client: OutboxKysely,
    { instance, slotCount, leaseMs }: { instance: string; slotCount: number; leaseMs: number },
  ): Promise<void> {
    const { now, dialect } = this.connection;
    await sql`
      insert into cqrs_outbox_relay (instance, slot_count, lease_ms, expires_at)
      values (${instance}, ${sql.lit(slotCount)}, ${sql.lit(leaseMs)}, ${now} + ${sql.lit(leaseMs)})
      ${overwriting(dialect, ['instance'], ['slot_count', 'lease_ms', 'expires_at'])}`.execute(client);
  }

  private async readSlots(client: OutboxKysely, slotCount: number): Promise<SlotOwner[]> {
    const { first, last } = slotsOf(slotCount);
    const rows = await client
      .selectFrom('cqrs_outbox_slot')
      .selectAll()
      .where('slot', '>=', first)
      .where('slot', '<=', last)
      .orderBy('slot')
      .execute();
    return rows.map(({ slot, owner, epoch }) => ({
      slot,
      owner: owner ?? undefined,
      epoch: Number(epoch),
    }));
  }

  private async readInstances(client: OutboxKysely): Promise<RelayInstance[]> {
    const rows = await client
      .selectFrom('cqrs_outbox_relay')
      .select(['instance', 'slot_count', 'lease_ms', 'expires_at', this.connection.now.as('now')])
      .orderBy('id')
      .execute();
    return rows.map(({ instance, slot_count, lease_ms, expires_at, now }) => {
      const expiresInMs = Number(expires_at) - Number(now);
      return {
        instance,
        slotCount: slot_count,
        // A lease can't last longer than it was given: the clock was set back, or the row was edited.
        expiresInMs: expiresInMs > Number(lease_ms) ? 0 : expiresInMs,
      };
    });
  }
}
