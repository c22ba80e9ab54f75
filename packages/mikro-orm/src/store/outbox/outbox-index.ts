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

  /** A query of the first entries in the order of the index, as a part of a UNION. */
  part(select: Sql, join: Sql, where: Sql, limit: number): Sql {
    const inOrder = sql`order by o.destination, o.slot, o.id`;
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
