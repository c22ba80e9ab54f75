import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroORM } from '@mikro-orm/core';
import type { INestApplication } from '@nestjs/common';
import { readConfig } from './config/config.js';
import { until } from './demo/until.js';
import { Minutes } from './domain/minutes.entity.js';
import { createMeetingsApp } from './meetings.app.js';

const [outboxEntry] = outboxEntities;

/** The application behind HTTP, and its database. */
class Service {
  private constructor(
    private readonly app: INestApplication,
    private readonly url: string,
  ) {}

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<Service> {
    const config = readConfig({ DATABASE_URL: 'file::memory:', ...environment });
    const app = await createMeetingsApp(config, { logger: false });
    await app.listen(0, '127.0.0.1');
    return new Service(app, await app.getUrl());
  }

  get orm(): MikroORM {
    return this.app.get(MikroORM);
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(this.url + path, {
      method,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  }

  /** Reads until the read model has caught up with what is expected. */
  async eventually(path: string, expected: object): Promise<void> {
    await until(`GET ${path} answers ${JSON.stringify(expected)}`, async () => {
      const { body } = await this.call('GET', path);
      try {
        expect(body).toMatchObject(expected);
        return body;
      } catch {
        return undefined;
      }
    });
  }

  countRows(): Promise<number> {
    return this.orm.em.fork().count(outboxEntry);
  }

  close(): Promise<void> {
    return this.app.close();
  }
}

describe('the meetings service, embedded', () => {
  let service: Service;

  beforeEach(async () => {
    service = await Service.start();
  });
  afterEach(() => service.close());

  const open = (meetingId: string) => service.call('POST', '/meetings', { meetingId, title: 'Daily' });

  it('brings a meeting into the read model and tells what happened', async () => {
    expect(await open('standup')).toEqual({ status: 201, body: { meetingId: 'standup' } });
    expect(await service.call('PUT', '/meetings/standup/alice')).toEqual({ status: 204, body: '' });
    expect(await service.call('PUT', '/meetings/standup/bob')).toEqual({ status: 204, body: '' });
    expect(await service.call('POST', '/meetings/standup/close')).toEqual({ status: 204, body: '' });

    const meeting = { meetingId: 'standup', title: 'Daily', status: 'closed', attendees: ['alice', 'bob'] };
    await service.eventually('/meetings/standup', meeting);
    const texts = ['alice has joined', 'bob has joined', 'The meeting is over'];
    await service.eventually(
      '/meetings/standup/notifications',
      texts.map((text) => ({ text })),
    );
  });

  it('draws an id when none is given', async () => {
    const { status, body } = await service.call('POST', '/meetings', { title: 'Retro' });
    expect(status).toBe(201);
    const { meetingId } = body as { meetingId: string };
    await service.eventually(`/meetings/${meetingId}`, { title: 'Retro', attendees: [] });
  });

  it('lets all of them in who join at the same moment', async () => {
    await open('party');
    const users = Array.from({ length: 10 }, (_, index) => `user-${index}`);
    const answers = await Promise.all(users.map((user) => service.call('PUT', `/meetings/party/${user}`)));
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 204));
    await until('all are in the read model', async () => {
      const { body } = await service.call('GET', '/meetings/party');
      const attendees = (body as { attendees?: string[] }).attendees ?? [];
      return attendees.toSorted().join() === users.join() || undefined;
    });
  });

  it('tells once of a user who joins twice', async () => {
    await open('standup');
    await service.call('PUT', '/meetings/standup/alice');
    await service.call('PUT', '/meetings/standup/alice');
    await service.call('PUT', '/meetings/standup/bob');
    await service.eventually('/meetings/standup', { attendees: ['alice', 'bob'] });
    await service.eventually('/meetings/standup/notifications', [
      { text: 'alice has joined' },
      { text: 'bob has joined' },
    ]);
  });

  it('writes the minutes in the transaction that closes the meeting', async () => {
    await open('standup');
    await service.call('PUT', '/meetings/standup/alice');
    await service.call('POST', '/meetings/standup/close');
    const minutes = await service.orm.em.fork().findOne(Minutes, { meetingId: 'standup' });
    expect(minutes).toMatchObject({ title: 'Daily', attendees: ['alice'] });
  });

  it.each([
    ['POST', '/meetings', { title: '' }, 'title', 'isLength'],
    ['POST', '/meetings', { title: 'x', meetingId: 7 }, 'meetingId', 'matches'],
    ['POST', '/meetings', undefined, 'title', 'isString'],
    ['PUT', '/meetings/standup/not%20a%20user', undefined, 'userId', 'matches'],
    ['POST', '/meetings/NOT-AN-ID/close', undefined, 'meetingId', 'matches'],
    ['GET', '/meetings/NOT-AN-ID', undefined, 'meetingId', 'matches'],
  ])('answers 400 to %s %s %j, with the broken rules', async (method, path, sent, property, rule) => {
    const { status, body } = await service.call(method, path, sent);
    expect(status).toBe(400);
    expect(body).toMatchObject({
      code: 'REQUEST_VALIDATION',
      violations: [{ property, rules: { [rule]: expect.any(String) } }],
    });
  });

  it.each([
    ['PUT', '/meetings/none/alice'],
    ['POST', '/meetings/none/close'],
    ['GET', '/meetings/none'],
  ])('answers 404 to %s %s', async (method, path) => {
    expect(await service.call(method, path)).toMatchObject({
      status: 404,
      body: { message: 'There is no meeting none.' },
    });
  });

  it('answers 409 to who joins or closes a closed meeting, and publishes nothing', async () => {
    await open('standup');
    await service.call('POST', '/meetings/standup/close');
    const refused = { status: 409, body: { message: 'Meeting standup is closed.' } };
    expect(await service.call('PUT', '/meetings/standup/carol')).toMatchObject(refused);
    expect(await service.call('POST', '/meetings/standup/close')).toMatchObject(refused);
    await service.eventually('/meetings/standup', { status: 'closed', attendees: [] });
    await service.eventually('/meetings/standup/notifications', [{ text: 'The meeting is over' }]);
  });

  it('answers 409 to an id that is taken, also at the same moment', async () => {
    const answers = await Promise.all([open('twin'), open('twin'), open('twin')]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409]);
  });

  it('serves the OpenAPI page', async () => {
    const page = await service.call('GET', '/docs');
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('swagger-ui') });
    const document = await service.call('GET', '/docs-json');
    expect(Object.keys((document.body as { paths: object }).paths)).toEqual([
      '/meetings',
      '/meetings/{meetingId}/{userId}',
      '/meetings/{meetingId}/close',
      '/meetings/{meetingId}',
      '/meetings/{meetingId}/notifications',
      '/health',
    ]);
  });

  it('is well', async () => {
    expect(await service.call('GET', '/health')).toMatchObject({
      status: 200,
      body: { status: 'ok', listener: 'listening', relay: [{ state: 'up' }] },
    });
  });
});

describe.each(['amqp://127.0.0.1:1', 'kafka://127.0.0.1:1'])('without its broker at %s', (brokerUrl) => {
  it('boots, commits commands, keeps their events, and says so', async () => {
    const service = await Service.start({ BROKER_URL: brokerUrl });
    try {
      const { status } = await service.call('POST', '/meetings', { meetingId: 'standup', title: 'Daily' });
      expect(status).toBe(201);
      await service.eventually('/health', {
        status: 'degraded',
        listener: 'connecting',
        relay: [{ state: 'down', reason: expect.any(String) }],
      });
      expect(await service.countRows()).toBe(1);
    } finally {
      await service.close();
    }
  });
});
