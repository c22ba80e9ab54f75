#!/usr/bin/env node
import { outboxSchema, type SqlDialect } from './outbox-schema.js';

const DIALECTS: Readonly<Record<string, SqlDialect>> = {
  mysql: 'mysql',
  mariadb: 'mysql',
  postgresql: 'postgresql',
  sqlite: 'sqlite',
};

const dialect = DIALECTS[process.argv[2] ?? ''];
if (dialect) {
  process.stdout.write(
    outboxSchema(dialect)
      .map((statement) => `${statement};\n`)
      .join('\n'),
  );
} else {
  process.stderr.write(
    `usage: cqrs-outbox-schema ${Object.keys(DIALECTS).join('|')}\nPrints the SQL that creates the tables.\n`,
  );
  process.exitCode = 2;
}
