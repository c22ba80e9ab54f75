import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CommitHints, ConfigurationError } from '@cqrs-outbox/core';
import type { INestApplication } from '@nestjs/common';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp } from '../support/app.ts';
import { DATABASES, databaseOptions, dropDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedTransport } from '../support/scripted-transport.ts';
import { HintBus, HintsFixture, moves } from './hints-fixture.ts';

const faultsOf = async (boot: Promise<unknown>): Promise<readonly string[]> => {
  const error: unknown = await boot.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  return (error as ConfigurationError).faults;
};

describe('the option commitHints', () => {
  let fixture: HintsFixture;

  beforeEach(() => {
    fixture = new HintsFixture();
  });
  afterEach(() => fixture.close());

  it.each([
    ['on', 'no provider has the token on'],
    [Symbol('hints'), 'no provider has the token Symbol(hints)'],
    [HintBus, 'no provider has the token HintBus'],
    ['DiscoveryService', 'no provider has the token DiscoveryService'],
    [true, 'true, but the store has none: leave it out, or give CommitHints of your own'],
    [CommitHints, 'true, but the store has none: leave it out, or give CommitHints of your own'],
    [7, 'give true or false, CommitHints, or their token'],
    ['', 'give true or false, CommitHints, or their token'],
    [{ announce: () => undefined }, 'give true or false, CommitHints, or their token'],
    [null, 'give true or false, CommitHints, or their token'],
  ])('refuses %p', async (commitHints, fault) => {
    const booted = fixture.start({ commitHints: commitHints as never });
    await expect(faultsOf(booted)).resolves.toEqual([`commitHints: ${fault}`]);
  });

  it('refuses a provider that is something else', async () => {
    const booted = fixture.start({ commitHints: 'cqrs-outbox:something' }, [
      { provide: 'cqrs-outbox:something', useValue: {} },
    ]);
    await expect(faultsOf(booted)).resolves.toEqual([
      'commitHints: the provider cqrs-outbox:something is no CommitHints',
    ]);
  });

  it('takes what a provider has', async () => {
    const writer = await fixture.startWriter({ commitHints: 'my hints' }, [
      { provide: 'my hints', useValue: fixture.bus.port() },
    ]);
    await writer.append(moves(1));
    await eventually(() => expect(fixture.bus.announced).toHaveLength(1));
  });

  it('tells what keeps the hints from working, together with all other faults', async () => {
    const commitHints = fixture.bus.port(['no server is named', 'no channel is named']);
    await expect(faultsOf(fixture.start({ commitHints, slots: 0 }))).resolves.toEqual([
      'slots is 0, but must be an integer from 1 to 256',
      'commitHints: no server is named',
      'commitHints: no channel is named',
    ]);
    expect(fixture.bus.calls).not.toContain('listen');
  });
});

for (const { name, needs } of DATABASES.filter(({ name: database }) => database !== 'postgres')) {
  describeWith(needs, `commitHints: true on ${name}`, () => {
    it('is refused at boot', async () => {
      const transport = new ScriptedTransport();
      const orm = databaseOptions(name);
      let app: INestApplication | undefined;
      const booted = createTestApp({
        database: name,
        orm,
        ownsDatabase: true,
        options: { transport, commitHints: true },
        beforeInit: async (made) => void (app = made),
      });
      const has = name === 'mariadb' ? 'MySQL and MariaDB have' : 'SQLite has';
      await expect(faultsOf(booted)).resolves.toEqual([
        `commitHints: true, but ${has} no LISTEN/NOTIFY, PostgreSQL alone has: leave it out, or give CommitHints of your own`,
      ]);
      await app?.close();
      await dropDatabase(orm);
    });
  });
}
