import { join } from 'node:path';
import { InMemoryTransport } from '@cqrs-outbox/core';
import { outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroORM } from '@mikro-orm/core';
import { readConfig } from '../config/config.js';
import { createMeetingsApp } from '../meetings.app.js';
import type { Timeline } from './timeline.js';
import { TracingInterceptor } from './tracing.interceptor.js';
import { TracingTransport } from './tracing.transport.js';
import { until } from './until.js';

const [outboxEntry] = outboxEntities;

export interface DemoApp {
  readonly url: string;
  /** Resolves when no row is left in the outbox. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** The application on its embedded default, in a directory of its own and on a free port, with tracing added. */
export async function startDemoApp(directory: string, timeline: Timeline): Promise<DemoApp> {
  const config = readConfig({ DATABASE_URL: `file:${join(directory, 'meetings.db')}` });
  const memory = new InMemoryTransport();
  const transport = new TracingTransport(memory, timeline, (messageId) =>
    orm.em.fork().findOne(outboxEntry, { messageId }, { fields: ['id'] }),
  );
  const app = await createMeetingsApp(
    { ...config, broker: { transport, server: memory.createServer() } },
    { logger: ['warn', 'error'], outbox: { interceptors: [new TracingInterceptor(timeline)] } },
  );
  const orm = app.get(MikroORM);
  await app.listen(0, '127.0.0.1');
  return {
    url: await app.getUrl(),
    settled: () =>
      until('the outbox is empty', async () => {
        return (await orm.em.fork().count(outboxEntry)) === 0 || undefined;
      }).then(() => undefined),
    close: () => app.close(),
  };
}
