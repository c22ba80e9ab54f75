import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestOutbox } from '@cqrs-outbox/testing';
import { MikroORM } from '@mikro-orm/core';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { readConfig } from './config/config.js';
import { until } from './demo/until.js';
import { Minutes } from './domain/minutes.entity.js';
import { MeetingState } from './events/meeting-state.event.js';
import { UserJoined } from './events/user-joined.event.js';
import { createMeetingsApp } from './meetings.app.js';

/** The application behind HTTP, and its database. */
class Service {
  private constructor(
    private readonly app: INestApplication,
    private readonly url: string,
    readonly outbox: TestOutbox,
    /** What was logged, at the level `log`. */
    readonly lines: readonly unknown[],
  ) {}

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<Service> {
    const config = readConfig({ DATABASE_URL: 'file::memory:', ...environment });
    const lines: unknown[] = [];
    const ignore = (): void => undefined;
    const logger: LoggerService = { log: (line) => void lines.push(line), warn: ignore, error: ignore };
    const app = await createMeetingsApp(config, { logger });
    await app.listen(0, '127.0.0.1');
    return new Service(app, await app.getUrl(), TestOutbox.of(app), lines);
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

  /** Reads when all that was appended has arrived: the in-memory transport has published what was handled. */
  async settled(path: string): Promise<unknown> {
    await this.outbox.drain();
    return (await this.call('GET', path)).body;
  }

  /** Reads until it is what is expected. */
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
    expect(await service.settled('/meetings/standup')).toMatchObject(meeting);
    const texts = ['alice has joined', 'bob has joined', 'The meeting is over'];
    expect(await service.settled('/meetings/standup/notifications')).toMatchObject(
      texts.map((text) => ({ text })),
    );
    expect(service.outbox.published(MeetingState)).toHaveLength(4);
  });

  it('draws an id when none is given', async () => {
    const { status, body } = await service.call('POST', '/meetings', { title: 'Retro' });
    expect(status).toBe(201);
    const { meetingId } = body as { meetingId: string };
    expect(await service.settled(`/meetings/${meetingId}`)).toMatchObject({ title: 'Retro', attendees: [] });
  });

  it('lets all of them in who join at the same moment', async () => {
    await open('party');
    const users = Array.from({ length: 10 }, (_, index) => `user-${index}`);
    const answers = await Promise.all(users.map((user) => service.call('PUT', `/meetings/party/${user}`)));
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 204));
    const { attendees } = (await service.settled('/meetings/party')) as { attendees: string[] };
    expect(attendees.toSorted()).toEqual(users);
  });

  it('tells once of a user who joins twice', async () => {
    await open('standup');
    await service.call('PUT', '/meetings/standup/alice');
    await service.call('PUT', '/meetings/standup/alice');
    await service.call('PUT', '/meetings/standup/bob');
    const joined = ['alice', 'bob'].map((userId) => UserJoined.of({ meetingId: 'standup', userId }));
    expect(service.outbox.appended(UserJoined)).toEqual(joined);
    expect(await service.settled('/meetings/standup')).toMatchObject({ attendees: ['alice', 'bob'] });
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
    expect(service.outbox.appended().map(({ name }) => name)).toEqual([
      'meetings.meeting-state',
      'meetings.room-closed',
      'meetings.meeting-state',
    ]);
    const notifications = await service.settled('/meetings/standup/notifications');
    expect(notifications).toMatchObject([{ text: 'The meeting is over' }]);
  });

  it('logs that a meeting is over when that is committed, and only then', async () => {
    const logged = (): unknown[] => service.lines.filter((line) => String(line).includes('is over'));
    await open('standup');
    await service.call('PUT', '/meetings/standup/alice');
    // There are minutes already: the transaction fails when all of its handlers have run.
    const em = service.orm.em.fork();
    await em.insert(Minutes, { meetingId: 'standup', title: 'Daily', attendees: [] });
    expect(await service.call('POST', '/meetings/standup/close')).toMatchObject({ status: 500 });
    expect(logged()).toEqual([]);
    await em.nativeDelete(Minutes, {});
    await service.call('POST', '/meetings/standup/close');
    expect(logged()).toEqual(['standup is over, 1 took part']);
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
      expect(service.outbox.appended(MeetingState)).toHaveLength(1);
      expect(service.outbox.published()).toEqual([]);
    } finally {
      await service.close();
    }
  });
});
