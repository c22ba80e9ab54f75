import { randomUUID } from 'node:crypto';
import { CommitHints } from '@cqrs-outbox/core';
import type { CommitHintsHarness } from '@cqrs-outbox/testing';
import { Redis } from 'ioredis';
import { SnippetProject } from '../docs/snippet-project.ts';
import { HintBus } from '../relay/hints-fixture.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { ScriptedTransport } from '../support/scripted-transport.ts';

/** The stand-in by which tests of the relay hear hints. */
export function busHarness(): CommitHintsHarness {
  const bus = new HintBus();
  return {
    open: async () => ({ connect: async () => bus.port(), close: async () => undefined }),
    breakConnections: async () => bus.lose(new Error('broken on purpose')),
  };
}

/** What `MikroOrmOutbox` has for PostgreSQL. */
export function notifyHarness(): CommitHintsHarness {
  const apps: TestApp[] = [];
  const start = async (): Promise<TestApp> => {
    const app = await createTestApp({
      database: 'postgres',
      orm: apps[0]?.ormOptions,
      options: { transport: new ScriptedTransport() },
    });
    apps.push(app);
    return app;
  };
  return {
    open: async () => {
      await start();
      return {
        connect: async () => (await start()).app.get<CommitHints>(CommitHints, { strict: false }),
        close: async () => {
          for (const app of apps.toReversed()) await app.close();
        },
      };
    },
    breakConnections: async () => {
      await apps[0]?.orm.em
        .fork()
        .getConnection()
        .execute(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name = 'cqrs-outbox hints'`,
        );
    },
  };
}

/** The class that docs/operations.md shows. */
export function redisHarness(): CommitHintsHarness {
  const channel = `hints-${randomUUID()}`;
  const url = `redis://127.0.0.1:6379?connectionName=${channel}`;
  const project = new SnippetProject('docs/operations.md');
  return {
    open: async () => {
      await project.write();
      const { RedisHints } = await project.import<{
        RedisHints: new (url: string, channel: string) => CommitHints;
      }>('src/redis-hints.js');
      return { connect: async () => new RedisHints(url, channel), close: () => project.dispose() };
    },
    breakConnections: async () => {
      const redis = new Redis({ connectionName: 'tests' });
      const clients = String(await redis.call('CLIENT', 'LIST')).split('\n');
      for (const client of clients.filter((line) => line.includes(` name=${channel} `)))
        await redis.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(client)![1]!);
      redis.disconnect();
    },
  };
}
