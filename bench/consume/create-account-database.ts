import type { DatabaseAddress } from '../servers/outbox-database.ts';
import type { AccountDatabase } from './account-database.ts';
import { MariaDbAccounts } from './mariadb-accounts.ts';
import { PostgresAccounts } from './postgres-accounts.ts';

/**
 * @param connections of the pool, which is how many transactions run at the same time
 */
export function createAccountDatabase(
  address: DatabaseAddress,
  connections: number,
): Promise<AccountDatabase> {
  switch (address.name) {
    case 'mariadb':
      return MariaDbAccounts.create(address.url, connections);
    case 'postgres':
      return PostgresAccounts.create(address.url, connections);
    case 'libsql':
      throw new Error('libSQL has no consumer benchmark');
  }
}
