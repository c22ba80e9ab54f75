import { mysqlKey } from './outbox-schema.js';
import { inboxLetterLines, indexesOf } from './outbox-tables.js';
import type { SqlDialect } from './sql-dialect.js';
import type { UpgradeStep } from './upgrade-step.js';

const TABLE = 'cqrs_inbox_dead_letter';

/** From version 2 to 3: what a dead letter of the inbox needs to be handled again. */
export function stepsToVersion3(dialect: SqlDialect): UpgradeStep[] {
  const lines = inboxLetterLines(dialect);
  const step = (columns: readonly string[], ...more: string[]): UpgradeStep => ({
    sql: `alter table ${TABLE}\n  ${[...columns.map((column) => `add column ${column}`), ...more].join(',\n  ')}`,
    adds: { table: TABLE, column: columns[0]?.split(' ')[0] ?? '' },
  });
  switch (dialect) {
    case 'mysql':
      return [step(lines, ...indexesOf(TABLE).map((index) => `add ${mysqlKey(index)}`))];
    case 'postgresql':
      return [{ sql: step(lines).sql.replaceAll('add column', 'add column if not exists') }];
    case 'sqlite':
      return lines.map((line) => step([line]));
  }
}
