import pg from 'pg';
import { CONNECTIONS, type OutboxRows, type RawRow } from './outbox-rows.ts';

/** By pg, which is also the driver under MikroORM. */
export class PostgresRows implements OutboxRows {
  readonly pool: pg.Pool;

  constructor(url: string, database: string, max = CONNECTIONS) {
    const address = new URL(url);
    address.pathname = `/${database}`;
    this.pool = new pg.Pool({ connectionString: address.href, max });
  }

  async select(after: string | number, limit: number): Promise<RawRow[]> {
    const statement = 'select * from cqrs_outbox where id > $1 order by id limit $2';
    const { rows } = await this.pool.query<RawRow>(statement, [after, limit]);
    return rows;
  }

  async remove(ids: readonly (string | number)[]): Promise<void> {
    await this.pool.query('delete from cqrs_outbox where id = any($1::bigint[])', [ids]);
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}
