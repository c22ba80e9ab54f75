import type { Type } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { silentLogger } from '../support/silent-logger.ts';

/** Starts a Nest application whose controller listens to a transport. */
export async function startReceiver(
  controller: Type,
  server: MicroserviceOptions,
): Promise<{ close(): Promise<void> }> {
  const module = await Test.createTestingModule({ controllers: [controller] })
    .setLogger(silentLogger)
    .compile();
  const app = module.createNestApplication();
  app.connectMicroservice<MicroserviceOptions>(server);
  await app.startAllMicroservices();
  return app;
}
