import type { Lease } from '@cqrs-outbox/core';
import { sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import { byPrimaryKey } from './statements.js';

/** More than there can be leases. */
const MANY_SLOTS = 1_000;

/** A part of a write that lets it take effect only where leases are valid. */
export interface LeaseFence {
  /** A table to join. */
  readonly table: RawBuilder<unknown>;
  /** The condition: one of the leases is for this slot, and valid. */
  covers(slot: RawBuilder<unknown>): RawBuilder<boolean>;
}

/**
 * The rows of the leases' slots, as far as they still name owner and epoch, locked until the write is done: a takeover,
 * which changes them, waits for it, or else has been before and is seen here.
 */
export function leaseFence(dialect: SqlDialect, leases: readonly Lease[]): LeaseFence {
  const each = leases.map(
    ({ slot, owner, epoch }) => sql`(slot = ${slot} and owner = ${owner} and epoch = ${epoch})`,
  );
  const slots = sql`
    select slot from cqrs_outbox_slot ${byPrimaryKey(dialect)} where ${sql.join(each, sql` or `)}`;
  switch (dialect) {
    case 'mysql':
      // The limit keeps the optimizer from merging it into the statement around it, whose plan it would change.
      return {
        table: sql`(${slots} limit ${sql.lit(MANY_SLOTS)} lock in share mode) leased`,
        covers: (slot) => sql`${slot} = leased.slot`,
      };
    case 'postgresql':
      // As one array, it is read once, whatever the planner makes of the join.
      return {
        table: sql`(select array(${slots} for share) as slots) leased`,
        covers: (slot) => sql`${slot} = any(leased.slots)`,
      };
    case 'sqlite':
      // There is one writer at a time.
      return { table: sql`(${slots}) leased`, covers: (slot) => sql`${slot} = leased.slot` };
  }
}
