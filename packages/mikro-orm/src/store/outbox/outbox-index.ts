import { slotsOf } from '@cqrs-outbox/core';
import { sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';

type Sql = RawBuilder<unknown>;

const [MIN_INT, MAX_INT] = [-(2 ** 31), 2 ** 31 - 1];

/** Slots from one number to another, both included. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
}

/** What is read of a range at most. */
export interface LimitedRange extends SlotRange {
  readonly limit: number;
}

/** The slots of the column's type that are none of this count. */
export function misplacedSlots(slotCount: number): SlotRange[] {
  const { first, last } = slotsOf(slotCount);
  return [
    { from: MIN_INT, to: first - 1 },
    { from: last + 1, to: MAX_INT },
  ];
}

/**
 * Reads `cqrs_outbox o` along its index (destination, slot, id), whatever the planner believes of the table: statistics
 * are stale wherever a queue fills and drains, and a plan that looks cheap then reads the whole of it for each batch.
 */
export class OutboxIndex {
  constructor(private readonly dialect: SqlDialect) {}

  /** The entries of a destination in these slots. */
  at(destination: string, { from, to }: SlotRange): Sql {
    // Of an equality PostgreSQL takes slot out of the order below, and may then walk through the whole primary key, in which
    // the entries of the slot are few.
    return from === to && this.dialect !== 'postgresql'
      ? sql`o.destination = ${destination} and o.slot = ${sql.lit(from)}`
      : sql`o.destination = ${destination} and o.slot >= ${sql.lit(from)} and o.slot <= ${sql.lit(to)}`;
  }

  /** The first entries of each range, as parts of a UNION. */
  firstOfEach(select: Sql, destination: string, ranges: readonly LimitedRange[]): Sql[] {
    if (this.dialect !== 'postgresql')
      return ranges.map((range) => this.part(select, sql``, this.at(destination, range), range.limit));
    // One part for all: to plan a part takes PostgreSQL longer than to run it.
    const where = sql`o.destination = ${destination} and o.slot >= listed.low and o.slot <= listed.high`;
    const most = Math.max(...ranges.map(({ limit }) => limit));
    const first = this.part(select, sql``, where, most, sql`listed.most`);
    const columns = [
      ranges.map(({ from }) => from),
      ranges.map(({ to }) => to),
      ranges.map(({ limit }) => limit),
    ].map((numbers) => sql`cast(${numbers} as int[])`);
    return [
      sql`(select f.* from unnest(${sql.join(columns)}) listed (low, high, most) cross join lateral ${first} f)`,
    ];
  }

  /** A query of the first entries in the order of the index, as a part of a UNION. */
  part(select: Sql, join: Sql, where: Sql, limit: number, ownLimit?: Sql): Sql {
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
            ${select} ${from} ${join} where ${where} ${inOrder} limit ${ownLimit ?? sql`(select ${sql.lit(limit)})`}) x
          ${first})`;
    }
  }
}
