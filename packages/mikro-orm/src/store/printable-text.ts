/** Text as every database takes it: PostgreSQL refuses a NUL, SQLite ends the text at it, and half a surrogate is none. */
export function printable(text: string, maxLength: number): string {
  return text.replaceAll('\0', '\uFFFD').slice(0, maxLength).toWellFormed();
}
