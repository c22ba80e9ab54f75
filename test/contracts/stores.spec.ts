import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  archiveStoreContract,
  deadLetterStoreContract,
  inboxStoreContract,
  leaseStoreContract,
  outboxStoreContract,
  statusStoreContract,
  unitOfWorkContract,
  type StoreHarness,
} from '@cqrs-outbox/testing';
import * as jest from '@jest/globals';
import { LibSqlDriver } from '@mikro-orm/libsql';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, databaseOptions } from '../support/database.ts';
import { inMemoryHarness } from './in-memory.harness.ts';
import { createTablesFromEntities, mikroOrmHarness } from './mikro-orm.harness.ts';

function storeContracts(harness: StoreHarness): void {
  unitOfWorkContract(harness, jest);
  tableContracts(harness);
}

/** Those of the tables, whoever has made them. */
function tableContracts(harness: StoreHarness): void {
  outboxStoreContract(harness, jest);
  leaseStoreContract(harness, jest);
  deadLetterStoreContract(harness, jest);
  archiveStoreContract(harness, jest);
  statusStoreContract(harness, jest);
  inboxStoreContract(harness, jest);
}

jest.describe('InMemoryStore', () => storeContracts(inMemoryHarness));

jest.describe('MikroOrmOutbox on a libSQL file', () => {
  const file = join(tmpdir(), `cqrs-contract-${randomUUID()}.db`);
  storeContracts(mikroOrmHarness(false, () => ({ driver: LibSqlDriver, dbName: file })));
  jest.afterAll(() => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true });
  });
});

for (const { name, needs } of DATABASES) {
  describeWith(needs, `MikroOrmOutbox on ${name}`, () => {
    storeContracts(mikroOrmHarness(needs.length > 0, () => databaseOptions(name)));
  });

  describeWith(needs, `MikroOrmOutbox on ${name}, its tables made from the entities`, () => {
    const harness = mikroOrmHarness(needs.length > 0, () => databaseOptions(name), createTablesFromEntities);
    tableContracts(harness);
  });
}
