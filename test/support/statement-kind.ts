/**
 * `insert cqrs_inbox`, `begin`: what a statement does, and to which table, whatever the dialect. One of our tables goes before
 * another, and what is only asked for by `exists` does not count. `insert cqrs_outbox, commit`: both in one.
 */
export function kindOf(statement: string): string {
  const together = /^(?:begin not atomic )?(?<first>.*); commit(?:; end)?$/is.exec(statement)?.groups?.[
    'first'
  ];
  if (together !== undefined) return `${kindOf(together)}, commit`;
  const text = statement.toLowerCase();
  const verb = /^[\s(]*(?<verb>\w+)/.exec(text)?.groups?.['verb'] ?? '';
  const outer = text.replace(/exists \([^()]*\)/g, '');
  const table =
    /cqrs_\w+/.exec(outer)?.[0] ?? /(?:into|from|update) [`"]?(?<table>\w+)/.exec(outer)?.groups?.['table'];
  return table === undefined ? verb : `${verb} ${table}`;
}
