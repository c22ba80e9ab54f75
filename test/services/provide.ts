import { join } from 'node:path';
import * as kafka from './kafka.ts';
import * as mariadb from './mariadb.ts';
import * as pgbouncer from './pgbouncer.ts';
import * as postgres from './postgres.ts';
import * as rabbitmq from './rabbitmq.ts';
import { createRunDirectory } from './run-directory.ts';
import { SERVICE_NAMES, SERVICE_VARIABLES, withoutPassword } from './service.ts';
import type { FoundService, MissingService, RunningServer, ServiceKind, ServiceName } from './service.ts';
import { within } from './wait.ts';

export const SERVICE_KINDS: Readonly<Record<ServiceName, ServiceKind>> = {
  mariadb,
  postgres,
  pgbouncer,
  kafka,
  rabbitmq,
};
const PROBE_LIMIT_MS = 8_000;

export interface ProvideOptions {
  /**
   * Read for the services' variables and for `SERVICES_PRIVATE=1`, which leaves servers at default ports
   * alone: every service without a variable is then started.
   * @defaultValue process.env
   */
  readonly environment?: NodeJS.ProcessEnv;
  readonly kinds?: Readonly<Record<ServiceName, ServiceKind>>;
}

export interface ProvidedServices {
  readonly found: readonly FoundService[];
  readonly missing: readonly MissingService[];
  /** The variables of the found services, such as `MARIADB_URL`. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends the started servers and removes their data. Those that were running before are left alone. */
  stop(): Promise<void>;
}

/**
 * Finds each service by its environment variable, else at its default port, else starts it from local
 * binaries; what cannot be had is reported as missing with the reason and is never an exception. A variable
 * that is set decides: if its server does not answer, the service is missing.
 */
export async function provideServices(
  names: readonly ServiceName[] = SERVICE_NAMES,
  options: ProvideOptions = {},
): Promise<ProvidedServices> {
  const finder = new ServiceFinder(options.kinds ?? SERVICE_KINDS, options.environment ?? process.env);
  const results = await Promise.all(names.map((name) => finder.find(name)));
  const found = results.filter((result) => 'url' in result);
  const missing = results.filter((result) => 'reason' in result);
  const env = Object.fromEntries(found.map(({ name, url }) => [SERVICE_VARIABLES[name], url]));
  return { found, missing, env, stop: () => finder.stop() };
}

class ServiceFinder {
  readonly #kinds: Readonly<Record<ServiceName, ServiceKind>>;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #cleanUps: (() => Promise<void>)[] = [];

  constructor(kinds: Readonly<Record<ServiceName, ServiceKind>>, environment: NodeJS.ProcessEnv) {
    this.#kinds = kinds;
    this.#environment = environment;
  }

  async find(name: ServiceName): Promise<FoundService | MissingService> {
    const startedAt = performance.now();
    try {
      const { url, source, pid } = await this.#locate(name);
      return { name, url, source, tookMs: Math.round(performance.now() - startedAt), ...(pid && { pid }) };
    } catch (error) {
      return { name, reason: reasonOf(error) };
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#cleanUps.splice(0).map((cleanUp) => cleanUp()));
  }

  async #locate(name: ServiceName): Promise<Pick<FoundService, 'url' | 'source' | 'pid'>> {
    const variable = SERVICE_VARIABLES[name];
    const url = this.#environment[variable];
    if (url) {
      await this.#probe(name, url, `${variable}=${withoutPassword(url)}`);
      return { url, source: 'environment' };
    }
    const { defaultUrl } = this.#kinds[name];
    if (await this.#isUsable(name, defaultUrl)) return { url: defaultUrl, source: 'default port' };
    const server = await this.#start(name);
    return { url: server.url, pid: server.pid, source: 'started by this run' };
  }

  async #isUsable(name: ServiceName, url: string): Promise<boolean> {
    if (this.#environment['SERVICES_PRIVATE'] === '1') return false;
    return this.#probe(name, url, url).then(
      () => true,
      () => false,
    );
  }

  async #probe(name: ServiceName, url: string, what: string): Promise<void> {
    try {
      await within(PROBE_LIMIT_MS, 'login', this.#kinds[name].probe(url));
    } catch (error) {
      throw new Error(`${what} is not usable: ${reasonOf(error)}`, { cause: error });
    }
  }

  async #start(name: ServiceName): Promise<RunningServer> {
    const directory = createRunDirectory();
    try {
      const server = await this.#kinds[name].start(join(directory.path, name));
      this.#cleanUps.push(() => server.stop().finally(() => directory.remove()));
      return server;
    } catch (error) {
      directory.remove();
      throw error;
    }
  }
}

/** With CI=true a missing service fails the run; the answer is then the message that says so. */
export function ciVerdict(
  missing: readonly MissingService[],
  environment: NodeJS.ProcessEnv,
): string | undefined {
  if (environment['CI'] !== 'true' || missing.length === 0) return undefined;
  const reasons = missing.map(({ name, reason }) => `  ${name}: ${reason}`);
  return `CI=true needs every service, and these are missing:\n${reasons.join('\n')}`;
}

/** Connection errors often have an empty message and their sense in `code` or in the errors they collect. */
function reasonOf(error: unknown): string {
  const { message, code, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  return message || (errors?.[0] ? reasonOf(errors[0]) : undefined) || code || String(error);
}
