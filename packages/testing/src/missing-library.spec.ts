import { expect, it, jest } from '@jest/globals';
import { IntegrationEvent, NotificationEvent } from '@cqrs-outbox/core';
import { IsString } from 'class-validator';

it('says what to install when a class has rules and class-validator-jsonschema is missing', async () => {
  jest.unstable_mockModule('class-validator-jsonschema', () => {
    throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  });
  const { eventContract } = await import('./index.js');

  @IntegrationEvent({ name: 'rooms.bare', topic: 'rooms' })
  class Bare extends NotificationEvent {}
  @IntegrationEvent({ name: 'rooms.closed', topic: 'rooms' })
  class Closed extends NotificationEvent {
    @IsString() room!: string;
  }

  expect(await eventContract([Bare])).toHaveLength(1);
  await expect(eventContract([Bare, Closed])).rejects.toThrow(
    /rooms\.closed can't be made: .+npm install --save-dev class-validator-jsonschema/,
  );
});
