/** Text as every database takes it: PostgreSQL refuses a NUL, and SQLite ends the text at it. */
export function printable(text: string, maxLength: number): string {
  return text.replaceAll('\0', '\uFFFD').slice(0, maxLength);
}
