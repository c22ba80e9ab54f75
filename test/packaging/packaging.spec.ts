import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Consumer, PACKAGES, WORKSPACE, buildWorkspace, manifestOf, packedFiles } from './consumer.ts';

const MINUTES = 60_000;

beforeAll(buildWorkspace, 2 * MINUTES);

describe.each(PACKAGES)('The tarball of packages/%s', (folder) => {
  it('holds dist, README, LICENSE and package.json, and nothing else', async () => {
    const files = await packedFiles(folder);

    expect(files).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.d.ts', 'dist/index.js', 'package.json']),
    );
    const unexpected = files.filter(
      (file) =>
        !/^(LICENSE|README\.md|package\.json)$/.test(file) &&
        !/^dist\/.*(\.js|\.js\.map|\.d\.ts)$/.test(file),
    );
    expect(unexpected).toEqual([]);
    expect(files.filter((file) => file.includes('.spec.'))).toEqual([]);
  });

  it('has source maps that carry their sources', async () => {
    const maps = (await packedFiles(folder)).filter((file) => file.endsWith('.map'));

    expect(maps.length).toBeGreaterThan(0);
    for (const map of maps) {
      const text = await readFile(join(WORKSPACE, 'packages', folder, map), 'utf8');
      expect(JSON.parse(text)).toHaveProperty('sourcesContent');
    }
  });
});

describe('A project that installs the tarballs', () => {
  let consumer: Consumer;

  beforeAll(async () => {
    consumer = await Consumer.create();
    await consumer.install();
  }, 5 * MINUTES);

  afterAll(() => consumer.dispose());

  it('gets no broker client and no driver that it did not ask for', () => {
    const uninvited = [
      'kafkajs',
      'amqplib',
      'amqp-connection-manager',
      '@mikro-orm/mysql',
      '@mikro-orm/postgresql',
      '@opentelemetry/api',
    ];

    expect(uninvited.filter((name) => existsSync(join(consumer.folder, 'node_modules', name)))).toEqual([]);
  });

  it(
    'compiles against the declarations, with skipLibCheck off, and runs',
    async () => {
      expect(await consumer.compileFixture()).toEqual([]);
      expect(await consumer.runFixture()).toEqual({
        code: 0,
        output: expect.stringContaining('fixture: done'),
      });
    },
    2 * MINUTES,
  );

  it.each(PACKAGES)('cannot import the internals of packages/%s', async (folder) => {
    const { name } = await manifestOf(folder);

    const { code, output } = await consumer.evaluate(`await import('${name}/dist/index.js')`);

    expect(code).toBe(1);
    expect(output).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
