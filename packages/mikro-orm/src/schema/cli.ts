#!/usr/bin/env node
import { outboxSchema, type SqlDialect } from './outbox-schema.js';
import { upgradeOutboxSchema } from './upgrade-outbox-schema.js';

const DIALECTS: Readonly<Record<string, SqlDialect>> = {
  mysql: 'mysql',
  mariadb: 'mysql',
  postgresql: 'postgresql',
  sqlite: 'sqlite',
};

const [dialectName = '', option, version = ''] = process.argv.slice(2);
const dialect = DIALECTS[dialectName];
if (dialect && option === undefined) print(outboxSchema(dialect));
else if (dialect && option === '--from' && /^\d+$/.test(version)) printUpgrade(dialect, Number(version));
else explain();

function printUpgrade(target: SqlDialect, from: number): void {
  try {
    print(upgradeOutboxSchema(target, from));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}

function print(statements: readonly string[]): void {
  process.stdout.write(statements.map((statement) => `${statement};\n`).join('\n'));
}

function explain(): void {
  process.stderr.write(
    `usage: cqrs-outbox-schema ${Object.keys(DIALECTS).join('|')} [--from <version>]\n` +
      'Prints the SQL that creates the tables, or that upgrades those of an older version.\n',
  );
  process.exitCode = 2;
}
