import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConsoleLogger, Logger, type INestApplication } from '@nestjs/common';
import { eventually } from '../support/eventually.ts';
import { SnippetProject } from './snippet-project.ts';

beforeAll(() => void Logger.overrideLogger(false));
afterAll(() => void Logger.overrideLogger(new ConsoleLogger()));

describe("the README's application", () => {
  const project = new SnippetProject('README.md');
  let app: INestApplication | undefined;
  let url: string;

  beforeAll(async () => {
    await project.write();
    const { createApp } = await project.import<{ createApp: () => Promise<INestApplication> }>('src/app.js');
    app = await createApp();
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  }, 60_000);

  afterAll(async () => {
    await app?.close();
    await project.dispose();
  });

  const notices = async (id: number) => (await fetch(`${url}/meetings/${id}/notices`)).json();
  const close = (id: number) => fetch(`${url}/meetings/${id}/close`, { method: 'POST' });

  it('carries an event from the request to the read model', async () => {
    expect(await notices(7)).toEqual([]);
    expect((await close(7)).status).toBe(201);
    await eventually(async () => expect(await notices(7)).toEqual(['The meeting is over']));
  });

  it('sends nothing for a command that fails', async () => {
    expect((await close(8)).status).toBe(500);
    expect(await notices(8)).toEqual([]);
  });
});

describe('the example of @cqrs-outbox/testing', () => {
  const project = new SnippetProject('packages/testing/README.md');

  beforeAll(() => project.write(), 60_000);
  afterAll(() => project.dispose());

  it('passes', async () => {
    const { testShipping } = await project.import<{ testShipping: () => Promise<void> }>('src/shipping.js');
    await expect(testShipping()).resolves.toBeUndefined();
  });
});
