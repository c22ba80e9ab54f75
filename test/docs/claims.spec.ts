// What the pages say of the code, compared with the code.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createOutboxSchema } from '@cqrs-outbox/mikro-orm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MikroORM } from '@mikro-orm/libsql';
import { readDocument, ROOT } from './snippets.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('docs/guarantees.md', () => {
  const tests = [...read('docs/guarantees.md').matchAll(/^- `([\w./-]+)`: (.+)$/gm)].flatMap(
    ([, path, list]) => [...list!.matchAll(/"([^"]+)"/g)].map(([, name]) => [path!, name!] as const),
  );

  it('names tests', () => {
    expect(tests.length).toBeGreaterThan(20);
  });

  it.each(tests)('names a test that exists: %s, %s', (path, name) => {
    expect(existsSync(join(ROOT, path))).toBe(true);
    const quoted = [`'${name}'`, `"${name}"`, `\`${name}\``];
    expect(quoted.some((text) => read(path).includes(text))).toBe(true);
  });
});

describe('docs/errors.md', () => {
  it('lists exactly the codes that there are', () => {
    const source = read('packages/core/src/cqrs-outbox.error.ts');
    const codes = [...source.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code);
    const listed = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` /gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(0);
    expect(listed.toSorted()).toEqual(codes.toSorted());
  });
});

describe('docs/operations.md', () => {
  let orm: Awaited<ReturnType<typeof openDatabase>>;

  beforeAll(async () => {
    orm = await openDatabase();
    await createOutboxSchema(orm);
  });
  afterAll(() => orm.close());

  it.each([
    ['### The relay\n', 'packages/core/src/relay/relay.options.ts', 'RELAY_DEFAULTS'],
    ['### The consumer\n', 'packages/core/src/consumers/consumer.options.ts', 'CONSUMER_DEFAULTS'],
    ['## Housekeeping\n', 'packages/core/src/operations/housekeeping.options.ts', 'HOUSEKEEPING_DEFAULTS'],
  ])('lists options with their defaults: %s', (heading, path, constant) => {
    const [, defaults = ''] = new RegExp(`${constant}: \\w+ = \\{\n([^]*?)\n\\};`).exec(read(path)) ?? [];
    const expected = [...defaults.matchAll(/^ {2}(\w+): (.+),$/gm)].map(([, name, value]) => {
      return [name, value!.replaceAll(/['_]/g, '')];
    });
    const [section = ''] = read('docs/operations.md')
      .split(heading)[1]!
      .split(/\n###? /);
    const rows = [...section.matchAll(/^\| `(\w+)` +\| (`[^`]+`|\d+) +\|/gm)];
    expect(expected.length).toBeGreaterThan(0);
    expect(rows.map(([, name, value]) => [name, value!.replaceAll('`', '')])).toEqual(expected);
  });

  const statements = readDocument('docs/operations.md')
    .snippets.filter(({ language }) => language === 'sql')
    .flatMap(({ line, code }) =>
      code
        .split(/;\n/)
        .filter(Boolean)
        .map((sql) => [line, sql] as const),
    );

  it.each(statements)('has SQL that runs: line %d', async (_, sql) => {
    await expect(orm.em.getConnection().execute(sql)).resolves.toBeDefined();
  });
});

function openDatabase() {
  return MikroORM.init({ dbName: ':memory:', entities: [], discovery: { warnWhenNoEntities: false } });
}
