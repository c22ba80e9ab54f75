import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { CqrsOutboxModule, NullTransport } from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import { NestFactory } from '@nestjs/core';
import { collectGarbage } from '../support/collect-garbage.ts';
import { silentLogger } from '../support/silent-logger.ts';

async function bootAndClose(): Promise<WeakRef<object>> {
  const outbox = CqrsOutboxModule.forRoot({
    source: 'tests',
    relay: false,
    store: InMemoryStore,
    transport: new NullTransport(),
  });
  const app = await NestFactory.createApplicationContext(outbox, { logger: silentLogger });
  await app.close();
  return new WeakRef(app.get(CqrsOutboxModule));
}

describe('an application that has closed', () => {
  it('is collected as garbage: a test process boots many', async () => {
    const modules = [await bootAndClose(), await bootAndClose(), await bootAndClose()];
    // What a turn has looked at by a WeakRef is kept until the next one.
    await nextTurn();
    collectGarbage();
    expect(modules.filter((module) => module.deref() !== undefined)).toEqual([]);
  });
});
