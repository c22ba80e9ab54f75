import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCES = ['packages', 'sample-app', 'test', 'scripts', 'package.json'];
const OWN_PACKAGES = '@cqrs-outbox';
const LEFT_OUT: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage']);

/**
 * Copies what a run needs, the working tree as it is, to a place where it may be changed. Dependencies and Kafka's jars are
 * linked, but the packages of this repository are the copy's own.
 */
export function copyTree(to: string): void {
  mkdirSync(to, { recursive: true, mode: 0o755 });
  const configurations = readdirSync(ROOT).filter((name) => /^tsconfig.*\.json$/.test(name));
  for (const name of [...SOURCES, ...configurations]) {
    const filter = (path: string): boolean => !LEFT_OUT.has(basename(path));
    cpSync(join(ROOT, name), join(to, name), { recursive: true, filter });
  }
  const modules = join(to, 'node_modules');
  mkdirSync(join(modules, OWN_PACKAGES), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name !== OWN_PACKAGES) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  for (const name of readdirSync(join(ROOT, 'packages'))) {
    symlinkSync(join(to, 'packages', name), join(modules, OWN_PACKAGES, name));
  }
  const jars = join(ROOT, '.services', 'kafka');
  mkdirSync(join(to, '.services'), { mode: 0o755 });
  if (existsSync(jars)) symlinkSync(jars, join(to, '.services', 'kafka'));
}
