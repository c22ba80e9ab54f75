import { AggregateRoot } from '@cqrs-outbox/core';
import { defineEntity, MikroORM, p } from '@mikro-orm/core';
import type { AbstractSqlConnection } from '@mikro-orm/sql';
import type { INestApplicationContext } from '@nestjs/common';

/** What the commands load and change. */
export class Shelf extends AggregateRoot {
  id!: number;
  books!: number;
}

export const shelfSchema = defineEntity({
  class: Shelf,
  tableName: 'bench_shelf',
  properties: { id: p.integer().primary().autoincrement(false), books: p.integer() },
});

/** More than are changed at a time, so that no command waits for the row of another. */
export const SHELVES = 64;

export async function createShelves(app: INestApplicationContext): Promise<void> {
  const connection = app.get(MikroORM).em.getConnection() as AbstractSqlConnection;
  await connection.execute('create table bench_shelf (id integer primary key, books integer not null)');
  const rows = Array.from({ length: SHELVES }, (_, id) => `(${id}, 0)`).join();
  await connection.execute(`insert into bench_shelf (id, books) values ${rows}`);
}
