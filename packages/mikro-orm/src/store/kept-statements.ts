/** What a database has of its statements. */
const KEPT = Symbol('cqrs-outbox:kept statements');

/** The part of a database of `libsql` that we use. This package does not import it: MikroORM's driver has it. */
interface LibSqlDatabase {
  [KEPT]?: Map<string, unknown>;
  prepare(sql: string): unknown;
}

/** Of events and of the inbox: they return no rows that somebody could still be reading. */
const IS_INSERT = /^insert into "?cqrs_(outbox|inbox)"? \(/;
/** There are as many texts as there are numbers of rows. */
const MAX_STATEMENTS = 16;
/** A statement of many rows is rare, and large. */
const MAX_TEXT_LENGTH = 8_192;

/**
 * Has a database of libSQL, which is a connection at the same time, keep the INSERTs of the outbox and the inbox: to prepare one takes
 * as long as to run it. SQLite prepares them again by itself when a table was changed (https://www.sqlite.org/c3ref/prepare.html).
 *
 * @param database a local one, see {@link isLocalDatabase}
 */
export function keepStatements(database: unknown): void {
  if (!isDatabase(database) || database[KEPT]) return;
  const kept = new Map<string, unknown>();
  const prepare = database.prepare.bind(database);
  const prepareOnce: typeof prepare = (sql) => {
    const known = kept.get(sql);
    if (known) return known;
    const statement = prepare(sql);
    if (kept.size < MAX_STATEMENTS && sql.length <= MAX_TEXT_LENGTH && IS_INSERT.test(sql))
      kept.set(sql, statement);
    return statement;
  };
  Object.assign(database, { [KEPT]: kept, prepare: prepareOnce });
}

/** Whether libSQL opens a file, or memory, and no server or a replica of one: such connections MikroORM replaces all the time. */
export function isLocalDatabase(dbName: string | undefined, driverOptions: object): boolean {
  const { url = dbName, syncUrl } = driverOptions as { readonly url?: string; readonly syncUrl?: string };
  return syncUrl === undefined && !/^\w+:\/\//.test(url ?? '');
}

function isDatabase(database: unknown): database is LibSqlDatabase {
  return (
    typeof database === 'object' &&
    database !== null &&
    'prepare' in database &&
    typeof database.prepare === 'function'
  );
}
