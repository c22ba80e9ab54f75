import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import { CONNECTIONS, type OutboxRows, type RawRow } from './outbox-rows.ts';

/** By mysql2, which is also the driver under MikroORM. */
export class MariaDbRows implements OutboxRows {
  readonly pool: Pool;

  constructor(url: string, database: string, connectionLimit = CONNECTIONS) {
    this.pool = createPool({ uri: url, database, connectionLimit });
  }

  async select(after: string | number, limit: number): Promise<RawRow[]> {
    const statement = 'select * from cqrs_outbox where id > ? order by id limit ?';
    const [rows] = await this.pool.query<(RawRow & RowDataPacket)[]>(statement, [after, limit]);
    return rows;
  }

  async remove(ids: readonly (string | number)[]): Promise<void> {
    await this.pool.query('delete from cqrs_outbox where id in (?)', [ids]);
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}
