// A project outside of the workspace that has installed the packages as a user would: from tarballs.
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const WORKSPACE = fileURLToPath(new URL('../../', import.meta.url));
export const PACKAGES = ['core', 'kafka', 'mikro-orm', 'testing'] as const;
export type PackageFolder = (typeof PACKAGES)[number];

/** What the fixture imports beside the packages and their required peers. */
const FIXTURE_NEEDS = ['@mikro-orm/libsql', '@nestjs/platform-express', '@types/node'];

const TYPESCRIPT = join(WORKSPACE, 'node_modules/typescript/bin/tsc');

export interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

interface PackReport {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

export async function manifestOf(folder: PackageFolder): Promise<Manifest> {
  return readJson<Manifest>(join(WORKSPACE, 'packages', folder, 'package.json'));
}

/** Brings every `dist` up to date: the tests run from the sources and do not need one. */
export async function buildWorkspace(): Promise<void> {
  await runOrThrow(process.execPath, ['scripts/build.mjs'], WORKSPACE);
}

/** The paths that `npm publish` would upload. */
export async function packedFiles(folder: PackageFolder): Promise<string[]> {
  const report = await npmPack(folder, ['--dry-run']);
  return report.files.map(({ path }) => path).sort();
}

/** Packs, installs and compiles the fixture. `dispose` deletes all of it. */
export class Consumer {
  private constructor(readonly folder: string) {}

  static async create(): Promise<Consumer> {
    // The real path: macOS keeps its temporary folder behind a link, and compilers print real paths.
    return new Consumer(await realpath(await mkdtemp(join(tmpdir(), 'cqrs-outbox-packaging-'))));
  }

  async install(): Promise<void> {
    const tarballs: Record<string, string> = {};
    for (const folder of PACKAGES) {
      const { filename } = await npmPack(folder, ['--pack-destination', this.folder]);
      tarballs[(await manifestOf(folder)).name] = `file:${filename}`;
    }
    const dependencies = { ...tarballs, ...(await versionsToInstall()) };
    await this.#writeJson('package.json', { private: true, type: 'module', dependencies });
    await runOrThrow('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], this.folder);
  }

  /**
   * Compiles the fixture to app.js with the strictest settings that a user may have.
   * @returns what the compiler says of the fixture and of our declarations; other packages answer for theirs.
   */
  async compileFixture(): Promise<string[]> {
    await copyFile(new URL('./fixture/app.ts', import.meta.url), join(this.folder, 'app.ts'));
    await this.#writeJson('tsconfig.json', {
      compilerOptions: {
        target: 'es2022',
        module: 'nodenext',
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
        skipLibCheck: false,
      },
      files: ['app.ts'],
    });
    const { output } = await run(process.execPath, [TYPESCRIPT, '--pretty', 'false'], this.folder);
    return output.split('\n').filter((line) => /^(app\.ts|node_modules\/@cqrs-outbox\/|error )/.test(line));
  }

  runFixture(): Promise<Outcome> {
    return run(process.execPath, ['app.js'], this.folder);
  }

  /** Runs one statement as an ES module of the project. */
  evaluate(statement: string): Promise<Outcome> {
    return run(process.execPath, ['--input-type=module', '--eval', statement], this.folder);
  }

  async dispose(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #writeJson(file: string, content: object): Promise<void> {
    return writeFile(join(this.folder, file), JSON.stringify(content, null, 2));
  }
}

/** The required peers and the fixture's own needs, at the versions of the workspace's lock file. */
async function versionsToInstall(): Promise<Record<string, string>> {
  const manifests = await Promise.all(PACKAGES.map(manifestOf));
  const own = manifests.map(({ name }) => name);
  const peers = manifests.flatMap(({ peerDependencies = {}, peerDependenciesMeta = {} }) =>
    Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional),
  );
  const lock = await readJson<{ packages: Record<string, { version?: string }> }>(
    join(WORKSPACE, 'package-lock.json'),
  );
  const names = [...new Set([...peers, ...FIXTURE_NEEDS])].filter((name) => !own.includes(name));
  return Object.fromEntries(
    names.map((name) => {
      const version = lock.packages[`node_modules/${name}`]?.version;
      if (!version) throw new Error(`${name} is not in package-lock.json: run npm install`);
      return [name, version];
    }),
  );
}

async function npmPack(folder: PackageFolder, args: string[]): Promise<PackReport> {
  const { name } = await manifestOf(folder);
  const command = ['pack', '--json', '--ignore-scripts', '--workspace', name, ...args];
  const { stdout } = await promisify(execFile)('npm', command, { cwd: WORKSPACE });
  const [report] = JSON.parse(stdout) as PackReport[];
  if (!report) throw new Error(`npm pack reports nothing for ${name}`);
  return report;
}

async function runOrThrow(file: string, args: string[], cwd: string): Promise<void> {
  const { code, output } = await run(file, args, cwd);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${output}`);
}

function run(file: string, args: string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env: plainEnvironment() }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: `${stdout}${stderr}` });
    });
  });
}

/** Without what `npm test` and Jest set for their children: the consumer is a project of its own. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const ours =
    /^(npm_(package|lifecycle)_.*|npm_config_local_prefix|INIT_CWD|NODE_OPTIONS|NODE_ENV|JEST_WORKER_ID)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}
