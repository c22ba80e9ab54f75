import { CqrsOutboxModule, type Transport, type TransportOption } from '@cqrs-outbox/core';
import { InMemoryStore, type ClosableTransport } from '@cqrs-outbox/testing';
import { ModulesContainer } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { silentLogger } from '../support/silent-logger.ts';

/** What the module makes of a transport option. It is found by its name, as no public token leads to it. */
export async function openTransport(
  transport: TransportOption,
  publishTimeoutMs = 10_000,
): Promise<ClosableTransport> {
  const module = await Test.createTestingModule({
    imports: [
      ScheduleModule.forRoot(),
      CqrsOutboxModule.forRoot({
        source: 'contract',
        store: InMemoryStore,
        transport,
        relay: { publishTimeoutMs },
      }),
    ],
  })
    .setLogger(silentLogger)
    .compile();
  await module.init();
  const { transports } = [...module.get(ModulesContainer).values()]
    .flatMap(({ providers }) => [...providers.values()])
    .find(({ name }) => name === 'CompositionRoot')?.instance as {
    transports: { get(name: string): Transport };
  };
  return { transport: transports.get('default'), close: () => module.close() };
}
