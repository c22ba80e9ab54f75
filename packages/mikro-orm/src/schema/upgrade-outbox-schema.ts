import { outboxSchema } from './outbox-schema.js';
import { SCHEMA_VERSION } from './schema-version.js';
import type { SqlDialect } from './sql-dialect.js';
import type { UpgradeStep } from './upgrade-step.js';
import { stepsToVersion2 } from './upgrade-to-version-2.js';
import { stepsToVersion3 } from './upgrade-to-version-3.js';

/** What leads to each version from the one before. New tables and, but for MySQL, new indexes come after all of it. */
const STEPS_TO: Readonly<Record<number, (dialect: SqlDialect) => UpgradeStep[]>> = {
  2: stepsToVersion2,
  3: stepsToVersion3,
};

/**
 * The statements that move the tables of an older version to the current one, rows and all, for a migration of yours.
 * Stop the relays of the older version before; its writers may go on.
 *
 * @throws RangeError for a version that there is no way from
 * @example
 * class UpgradeOutbox extends Migration {
 *   up() { for (const sql of upgradeOutboxSchema('mysql', 1)) this.addSql(sql); }
 * }
 */
export function upgradeOutboxSchema(dialect: SqlDialect, fromVersion: number): string[] {
  return upgradeSteps(dialect, fromVersion).map(({ sql }) => sql);
}

/** The same, with what tells whether a statement has been run already. */
export function upgradeSteps(dialect: SqlDialect, fromVersion: number): UpgradeStep[] {
  if (fromVersion === SCHEMA_VERSION) return [];
  if (!Object.hasOwn(STEPS_TO, fromVersion + 1))
    throw new RangeError(
      `There is no upgrade of the outbox tables from version ${fromVersion} to ${SCHEMA_VERSION}: ` +
        `known are those from 1 to ${SCHEMA_VERSION - 1}.`,
    );
  return [
    ...Object.entries(STEPS_TO).flatMap(([version, stepsTo]) =>
      Number(version) > fromVersion ? stepsTo(dialect) : [],
    ),
    ...outboxSchema(dialect).map((sql) => ({ sql })),
    { sql: `update cqrs_outbox_schema set version = ${SCHEMA_VERSION} where version = ${fromVersion}` },
  ];
}
