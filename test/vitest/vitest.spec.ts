// Vitest, as a child process of Jest: what docs/testing.md shows of it, and the contract suites.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readDocument, ROOT } from '../docs/snippets.ts';

interface Report {
  success: boolean;
  testResults: {
    name: string;
    message: string;
    assertionResults: { title: string; status: string }[];
  }[];
}

/** Node alone, without the flags and variables of Jest. */
const { NODE_OPTIONS: _options, JEST_WORKER_ID: _worker, ...environment } = process.env;
const FOLDER = `.services/vitest-${process.pid}`;

async function writeSnippets(): Promise<void> {
  for (const { language, path, code } of readDocument('docs/testing.md').snippets) {
    const file = language === 'ts' && path.startsWith('src/shipping') ? path : undefined;
    // The one JSON block is the tsconfig.json that Vitest needs.
    const target = language === 'json' ? 'tsconfig.json' : file;
    if (target === undefined) continue;
    await mkdir(dirname(join(ROOT, FOLDER, target)), { recursive: true });
    await writeFile(join(ROOT, FOLDER, target), code);
  }
}

async function runVitest(): Promise<Report> {
  const cli = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const config = ['--config', join(ROOT, 'test/vitest/vitest.config.ts'), '--configLoader', 'native'];
  const output = join(ROOT, FOLDER, 'report.json');
  const run = promisify(execFile)(
    process.execPath,
    [cli, 'run', ...config, '--silent', '--reporter=json', `--outputFile=${output}`],
    { cwd: ROOT, env: { ...environment, SNIPPETS: FOLDER }, timeout: 120_000 },
  );
  // It ends with 1 when a test fails, which the report tells better.
  const end = await run.catch((error: unknown) => error as { stderr: string });
  if (!existsSync(output)) throw new Error(`Vitest wrote no report: ${end.stderr}`);
  return JSON.parse(await readFile(output, 'utf8')) as Report;
}

describe('with Vitest', () => {
  let report: Report;

  beforeAll(async () => {
    await writeSnippets();
    report = await runVitest();
  }, 150_000);
  afterAll(() => rm(join(ROOT, FOLDER), { recursive: true, force: true }));

  const passed = (file: string): string[] => {
    const result = report.testResults.find(({ name }) => name.endsWith(file));
    const bad = result?.assertionResults.filter(({ status }) => status !== 'passed');
    expect([bad, result?.message]).toEqual([[], '']);
    return result!.assertionResults.map(({ title }) => title);
  };

  it('the tests of docs/testing.md pass, by its tsconfig.json and no other configuration', () => {
    expect(passed('src/shipping.test.ts')).toEqual([
      'publishes what was shipped',
      'publishes nothing of a command that fails',
      'tells the customer once',
      'tries again when the broker refuses',
    ]);
  });

  it('the contract suites pass', () => {
    expect(passed('contracts.test.ts').length).toBeGreaterThan(100);
    expect(report.success).toBe(true);
  });
});
