import { createOutboxSchema } from '@cqrs-outbox/mikro-orm';
import { MikroORM } from '@mikro-orm/core';
import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule, type OutboxOverrides } from './app.module.js';
import type { MeetingsConfig } from './config/config.js';
import { serveDocs } from './http/docs.js';
import { MessageListener } from './messages/message-listener.js';

export interface MeetingsAppOptions {
  readonly logger?: NestApplicationOptions['logger'];
  readonly outbox?: OutboxOverrides;
}

/** Makes the application, ready but for `app.listen(port)`. */
export async function createMeetingsApp(
  config: MeetingsConfig,
  { logger, outbox }: MeetingsAppOptions = {},
): Promise<INestApplication> {
  // Errors are for the caller: without `abortOnError: false`, Nest ends the process.
  const app = await NestFactory.create(AppModule.forRoot(config, outbox), { logger, abortOnError: false });
  app.enableShutdownHooks();
  try {
    await createSchema(app.get(MikroORM));
    serveDocs(app);
    await app.init();
    // After `init`: a message that comes earlier would find no handlers.
    app.get(MessageListener).start(app, config.broker.server);
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** At start, for a sample that just runs. A real service uses migrations: see `outboxSchema` of @cqrs-outbox/mikro-orm. */
async function createSchema(orm: MikroORM): Promise<void> {
  await orm.schema.ensureDatabase();
  await createOutboxSchema(orm);
  await orm.schema.update({ safe: true });
}
