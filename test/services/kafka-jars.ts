import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireProgram, runStep } from './commands.ts';
import { SERVICES_DIRECTORY } from './run-directory.ts';

const POM = join(dirname(fileURLToPath(import.meta.url)), 'kafka-pom.xml');
const DOWNLOAD_LIMIT_MS = 5 * 60_000;

/**
 * The directory with Kafka's jars; Maven fetches them once. Its name has the pom's hash, so that another
 * version is fetched anew. It appears in one piece: a cut download, or two runs at once, leave no half of it.
 */
export async function kafkaJars(): Promise<string> {
  const version = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12);
  const home = join(SERVICES_DIRECTORY, 'kafka');
  const libs = join(home, `libs-${version}`);
  if (existsSync(libs)) return libs;
  const maven = requireProgram('mvn', `Debian package maven; it fetches Kafka's jars`);
  mkdirSync(home, { recursive: true });
  const unfinished = mkdtempSync(join(home, 'download-'));
  try {
    await runStep({
      label: `Fetching Kafka's jars with Maven`,
      command: [
        maven,
        '-B',
        '-q',
        '-f',
        POM,
        'dependency:copy-dependencies',
        `-DoutputDirectory=${unfinished}`,
      ],
      limitMs: DOWNLOAD_LIMIT_MS,
    });
    if (!existsSync(libs)) renameSync(unfinished, libs);
    return libs;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
