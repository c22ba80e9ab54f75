/** What ends a transaction, as Kysely's dialects write it. */
export const IS_COMMIT = /^commit$/i;
export const IS_ROLLBACK = /^rollback$/i;

/** And as somebody may write it by hand. */
export const IS_END = /^\s*(commit|rollback)(\s+(work|transaction))?\s*;?\s*$/i;
