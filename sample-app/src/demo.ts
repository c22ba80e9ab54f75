import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoApp, startDemoApp } from './demo/demo-app.js';
import { Timeline } from './demo/timeline.js';

/**
 * Drives the embedded application over HTTP and shows each message's way:
 *
 *   request -> command -> commit -> row -> published -> consumed -> read model -> settled
 *                             \-> response
 *
 * `published` is when the relay hands a message to the transport, `settled` when the transport acknowledges it: the
 * in-memory one does so after the handlers' commit, a broker before them.
 *
 * Exits with 1 when the read model is wrong at the end, or when the end is not reached in time.
 */
const LIMIT_MS = 60_000;
setTimeout(() => {
  console.error(`The demo did not end in ${LIMIT_MS} ms.`);
  process.exit(1);
}, LIMIT_MS).unref();

const timeline = new Timeline();
const directory = await mkdtemp(join(tmpdir(), 'meetings-demo-'));
let app: DemoApp | undefined;
try {
  app = await startDemoApp(directory, timeline);
  console.log(`The meetings service listens on ${app.url}, its database is in ${directory}.\n`);
  await drive(app);
  await check(app);
  console.log('\nThe read model is right.');
} catch (error) {
  console.error('\nThe demo failed:', error);
  process.exitCode = 1;
} finally {
  await app?.close();
  await rm(directory, { recursive: true, force: true });
}

async function drive(demo: DemoApp): Promise<void> {
  await show(demo, 201, 'POST', '/meetings', { meetingId: 'standup', title: 'Daily stand-up' });
  await show(demo, 204, 'PUT', '/meetings/standup/alice');
  await show(demo, 204, 'PUT', '/meetings/standup/bob');
  await show(demo, 204, 'POST', '/meetings/standup/close');
  await show(demo, 400, 'POST', '/meetings', { title: '' });
}

/** Sends a request, waits until its messages have arrived, and prints what has happened. */
async function show(
  demo: DemoApp,
  expected: number,
  method: string,
  path: string,
  body?: object,
): Promise<void> {
  timeline.start(`${method} ${path}${body ? ` ${JSON.stringify(body)}` : ''}`);
  const response = await fetch(demo.url + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  timeline.mark('response', `${response.status} ${response.statusText}, as the client gets it`);
  await response.text();
  await demo.settled();
  console.log(`${timeline.toString()}\n`);
  assert.equal(response.status, expected, `${method} ${path} answers ${expected}`);
}

async function check(demo: DemoApp): Promise<void> {
  const meeting = await read(demo, '/meetings/standup');
  const notifications = await read(demo, '/meetings/standup/notifications');
  assert.partialDeepStrictEqual(meeting, {
    title: 'Daily stand-up',
    status: 'closed',
    attendees: ['alice', 'bob'],
  });
  assert.partialDeepStrictEqual(notifications, [
    { text: 'alice has joined' },
    { text: 'bob has joined' },
    { text: 'The meeting is over' },
  ]);
}

async function read(demo: DemoApp, path: string): Promise<unknown> {
  const response = await fetch(demo.url + path);
  const answer: unknown = await response.json();
  console.log(`GET ${path} -> ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}
