import { sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';

type Sql = RawBuilder<unknown>;

/**
 * Reads `cqrs_outbox o` along its index (destination, slot, id), whatever the planner believes of the table: statistics
 * are stale wherever a queue fills and drains, and a plan that looks cheap then reads the whole of it for each batch.
 */
export class OutboxIndex {
  constructor(private readonly dialect: SqlDialect) {}

  /** The entries of one slot. */
  at(destination: string, slot: number): Sql {
    // A range that is one value: of an equality PostgreSQL takes slot out of the order below, and may then walk through
    // the whole primary key, in which the entries of the slot are few.
    return this.dialect === 'postgresql'
      ? sql`o.destination = ${destination} and o.slot >= ${sql.lit(slot)} and o.slot <= ${sql.lit(slot)}`
      : sql`o.destination = ${destination} and o.slot = ${sql.lit(slot)}`;
  }

  /** The entries with a lower slot. */
  before(destination: string, slot: number): Sql {
    return sql`o.destination = ${destination} and o.slot < ${sql.lit(slot)}`;
  }

  /** The entries with a higher slot. */
  after(destination: string, slot: number): Sql {
    return sql`o.destination = ${destination} and o.slot > ${sql.lit(slot)}`;
  }

  /** The first entries of each of these slots, as parts of a UNION. */
  firstOfEach(select: Sql, destination: string, slots: readonly number[], limitPerSlot: number): Sql[] {
    if (this.dialect !== 'postgresql')
      return slots.map((slot) => this.part(select, sql``, this.at(destination, slot), limitPerSlot));
    // One part for all: to plan a part takes PostgreSQL longer than to run it.
    const where = sql`o.destination = ${destination} and o.slot >= listed.slot and o.slot <= listed.slot`;
    const first = this.part(select, sql``, where, limitPerSlot);
    return [
      sql`(select f.* from unnest(cast(${slots} as int[])) listed (slot) cross join lateral ${first} f)`,
    ];
  }

  /** A query of the first entries in the order of the index, as a part of a UNION. */
  part(select: Sql, join: Sql, where: Sql, limit: number): Sql {
    // Of an equality with a text MariaDB does not take the column out of the order, and would sort the whole slot. Of an
    // order without it PostgreSQL and SQLite may take another index.
    const inOrder =
      this.dialect === 'mysql' ? sql`order by o.slot, o.id` : sql`order by o.destination, o.slot, o.id`;
    const [from, first] = [sql`from cqrs_outbox o`, sql`limit ${sql.lit(limit)}`];
    switch (this.dialect) {
      case 'mysql':
        return sql`(${select} ${from} force index (cqrs_outbox_destination_slot) ${join} where ${where} ${inOrder} ${first})`;
      case 'sqlite':
        return sql`select * from (${select} ${from} ${join} where ${where} ${inOrder} ${first})`;
      case 'postgresql':
        // Of a limit that it can't know, the planner assumes that it cuts off most: reading all to sort it looks dear
        // then, however few rows it believes in. The one that it knows keeps it from compiling what costs so little.
        return sql`(
          select * from (
            ${select} ${from} ${join} where ${where} ${inOrder} limit (select ${sql.lit(limit)})) x
          ${first})`;
    }
  }
}
