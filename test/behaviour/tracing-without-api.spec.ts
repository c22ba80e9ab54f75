import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

/** What an import of the API rejects with. */
let failure: unknown;
jest.unstable_mockModule('@opentelemetry/api', () => {
  throw failure;
});

const { IntegrationEvent, NotificationEvent, Outbox, OutboxRelay } = await import('@cqrs-outbox/core');
const { RecordingTransport } = await import('@cqrs-outbox/testing');
const { Logger } = await import('@nestjs/common');
const { createTestApp } = await import('../support/app.ts');
const { silentLogger } = await import('../support/silent-logger.ts');

@IntegrationEvent({ name: 'traces.none', topic: 'traces' })
class NotTraced extends NotificationEvent {}

describe('an application without @opentelemetry/api', () => {
  const warnings: string[] = [];

  beforeEach(() => {
    warnings.length = 0;
  });
  afterEach(() => {
    Logger.overrideLogger(silentLogger);
  });

  const bootAndPublish = async (): Promise<void> => {
    const transport = new RecordingTransport();
    const test = await createTestApp({
      database: 'libsql',
      options: { transport },
      beforeInit: async () => {
        Logger.overrideLogger({ ...silentLogger, warn: (text: string) => void warnings.push(text) });
      },
    });
    await test.orm.em.fork().transactional(async () => test.app.get(Outbox).append(NotTraced.of()));
    await test.app.get(OutboxRelay).runOnce();
    expect(transport.published.map(({ headers }) => headers)).toEqual([{}]);
    await test.close();
  };

  it('boots and publishes, and says nothing of it', async () => {
    const text =
      "Cannot find package '@opentelemetry/api' imported from /app/node_modules/@cqrs-outbox/core/dist/a.js";
    failure = Object.assign(new Error(text), { code: 'ERR_MODULE_NOT_FOUND' });
    await bootAndPublish();
    expect(warnings).toEqual([]);
  });

  it.each([
    ['can not be read', Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })],
    [
      'lacks something itself',
      Object.assign(
        new Error(
          "Cannot find package 'other' imported from /app/node_modules/@opentelemetry/api/build/src/index.js",
        ),
        {
          code: 'ERR_MODULE_NOT_FOUND',
        },
      ),
    ],
    ['throws', new Error('unsupported version')],
    ['throws no error', 'unsupported'],
  ])('boots, publishes and warns when the one that it has %s', async (_, error) => {
    failure = error;
    await bootAndPublish();
    expect(warnings).toEqual([
      expect.stringContaining("There will be no traces, @opentelemetry/api can't be loaded: "),
    ]);
  });
});
