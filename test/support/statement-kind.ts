/**
 * `insert cqrs_outbox`, `begin`: what a statement does, and to which table, whatever the dialect. One of our tables goes before
 * another, and what is only asked for by `exists` does not count. `insert cqrs_outbox, commit`: several that are sent as one.
 */
export function kindOf(statement: string): string {
  const body = statement.toLowerCase().replace(/^begin not atomic (.*); end$/s, '$1');
  return body.split('; ').map(kindOfOne).join(', ');
}

function kindOfOne(text: string): string {
  if (text === 'start transaction') return 'begin';
  if (/^execute immediate if\(.*'commit'/.test(text)) return 'commit';
  const verb = /^[\s(]*(?<verb>\w+)/.exec(text)?.groups?.['verb'] ?? '';
  const outer = text.replace(/exists \([^()]*\)/g, '');
  const table =
    /cqrs_\w+/.exec(outer)?.[0] ?? /(?:into|from|update) [`"]?(?<table>\w+)/.exec(outer)?.groups?.['table'];
  return table === undefined ? verb : `${verb} ${table}`;
}
