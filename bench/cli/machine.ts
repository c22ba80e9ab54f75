import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem, type } from 'node:os';

const require = createRequire(import.meta.url);

/** The libraries that do most of the work. */
const LIBRARIES = ['@nestjs/core', '@mikro-orm/core', 'mysql2', 'pg', 'kafkajs', 'amqplib'];

/** Where and with what was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly system: string;
  readonly node: string;
  readonly libraries: Readonly<Record<string, string>>;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1024 ** 2),
    system: `${type()} ${release()}`,
    node: process.version,
    libraries: Object.fromEntries(LIBRARIES.map((name) => [name, versionOf(name)])),
  };
}

/** Not by `require` of its package.json, which not every package exports. */
function versionOf(name: string): string {
  const directory = require.resolve.paths(name)?.find((path) => isReadable(`${path}/${name}/package.json`));
  if (directory === undefined) return 'not found';
  const text = readFileSync(`${directory}/${name}/package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function isReadable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
