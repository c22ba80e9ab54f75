import { describe, expect, it } from '@jest/globals';
import { missingServices, serviceUrl, skippedName } from './describe-with.ts';
import { ciVerdict, provideServices } from './provide.ts';
import type { RunningServer, ServiceKind, ServiceName } from './service.ts';

const DEFAULT_URL = 'fake://default';
const STARTED_URL = 'fake://started';

/** A service that answers at the given addresses and, unless it is not installed, can be started. */
class FakeKind implements ServiceKind {
  readonly defaultUrl = DEFAULT_URL;
  stopped = 0;

  constructor(
    readonly answersAt: readonly string[],
    readonly installed: 'installed' | 'not installed' = 'installed',
  ) {}

  async probe(url: string): Promise<void> {
    if (!this.answersAt.includes(url)) throw new Error('connection refused');
  }

  async start(): Promise<RunningServer> {
    if (this.installed === 'not installed') throw new Error('kafka is not installed');
    const stop = async () => void (this.stopped += 1);
    return { url: STARTED_URL, port: 1, pid: 1, logFile: '', stop };
  }
}

function provide(kind: FakeKind, environment: NodeJS.ProcessEnv, names: ServiceName[] = ['kafka']) {
  const kinds = { mariadb: kind, postgres: kind, pgbouncer: kind, kafka: kind, rabbitmq: kind };
  return provideServices(names, { environment, kinds });
}

describe('provideServices', () => {
  it('takes the variable before the default port', async () => {
    const kind = new FakeKind(['fake://variable', DEFAULT_URL]);
    const { found, env } = await provide(kind, { KAFKA_BROKERS: 'fake://variable' });
    expect(found).toMatchObject([{ name: 'kafka', url: 'fake://variable', source: 'environment' }]);
    expect(env).toEqual({ KAFKA_BROKERS: 'fake://variable' });
  });

  it('does not look elsewhere when the server of a variable does not answer', async () => {
    const { found, missing } = await provide(new FakeKind([DEFAULT_URL]), { KAFKA_BROKERS: 'u:secret@host' });
    expect(found).toEqual([]);
    expect(missing).toEqual([
      { name: 'kafka', reason: 'KAFKA_BROKERS=u:***@host is not usable: connection refused' },
    ]);
  });

  it('takes the default port before it starts a server', async () => {
    const { found } = await provide(new FakeKind([DEFAULT_URL]), {});
    expect(found).toMatchObject([{ url: DEFAULT_URL, source: 'default port' }]);
  });

  it('starts a server where none answers, and stops it once', async () => {
    const kind = new FakeKind([]);
    const services = await provide(kind, {});
    expect(services.found).toMatchObject([{ url: STARTED_URL, source: 'started by this run' }]);
    await services.stop();
    await services.stop();
    expect(kind.stopped).toBe(1);
  });

  it('starts a server beside the one at the default port with SERVICES_PRIVATE=1', async () => {
    const services = await provide(new FakeKind([DEFAULT_URL]), { SERVICES_PRIVATE: '1' });
    expect(services.found).toMatchObject([{ url: STARTED_URL }]);
    await services.stop();
  });

  it('reports what it cannot start with the reason', async () => {
    const { found, missing, env } = await provide(new FakeKind([], 'not installed'), {});
    expect(found).toEqual([]);
    expect(env).toEqual({});
    expect(missing).toEqual([{ name: 'kafka', reason: 'kafka is not installed' }]);
  });

  it('provides only the named services, each under its own variable', async () => {
    const { env } = await provide(new FakeKind([DEFAULT_URL]), {}, ['mariadb', 'rabbitmq']);
    expect(env).toEqual({ MARIADB_URL: DEFAULT_URL, AMQP_URL: DEFAULT_URL });
  });
});

describe('ciVerdict', () => {
  const missing = [{ name: 'kafka', reason: 'java is not installed' }] as const;

  it('fails a run with CI=true and names the service and the reason', () => {
    expect(ciVerdict(missing, { CI: 'true' })).toContain('kafka: java is not installed');
  });

  it('lets a run pass without CI or with every service', () => {
    expect(ciVerdict(missing, {})).toBeUndefined();
    expect(ciVerdict([], { CI: 'true' })).toBeUndefined();
  });
});

describe('describeWith', () => {
  it('misses a service whose variable is absent or empty', () => {
    const environment = { MARIADB_URL: 'mysql://root@127.0.0.1:3306', KAFKA_BROKERS: '' };
    expect(missingServices(['mariadb', 'kafka', 'rabbitmq'], environment)).toEqual(['kafka', 'rabbitmq']);
  });

  it('names the missing services in a skipped suite', () => {
    expect(skippedName('relay', ['kafka', 'rabbitmq'])).toBe('relay [needs kafka, rabbitmq]');
  });
});

describe('serviceUrl', () => {
  it('says which variable is not set and what to do', () => {
    const before = process.env['AMQP_URL'];
    delete process.env['AMQP_URL'];
    try {
      expect(() => serviceUrl('rabbitmq')).toThrow(/AMQP_URL is not set.*npm test/s);
    } finally {
      if (before !== undefined) process.env['AMQP_URL'] = before;
    }
  });
});
