import assert from 'node:assert/strict';
import type { DeclareStoreTest } from '../store-suite.js';
import { rejectedMessage } from './rejected-message.js';

/** What `setAside` promises. */
export function setAsideTests(test: DeclareStoreTest): void {
  test('keeps a rejected message with all that is known of it', async ({ fixture }) => {
    const message = rejectedMessage({ stack: 'Error: no\n  at x', attempts: 3 });
    await fixture.inbox.setAside(message);
    assert.deepEqual(await fixture.rejected(), [message]);
  });

  test('keeps a message of which next to nothing is known, as often as it comes', async ({ fixture }) => {
    const message = rejectedMessage({
      messageId: undefined,
      name: undefined,
      key: undefined,
      headers: {},
      payload: null,
    });
    await fixture.inbox.setAside(message);
    await fixture.inbox.setAside(message);
    assert.deepEqual(await fixture.rejected(), [message, message]);
  });

  const hostile = `\u0000 \uD800 ' \\ \u{1F600} ${'x'.repeat(100_000)}`;
  for (const property of ['messageId', 'name', 'topic', 'key', 'coordinates', 'reason', 'stack'] as const) {
    test(`keeps a hostile message: any text as its ${property}`, async ({ fixture }) => {
      await fixture.inbox.setAside(rejectedMessage({ [property]: hostile }));
      assert.equal((await fixture.rejected()).length, 1);
    });
  }

  test('keeps a hostile message: any text in its headers', async ({ fixture }) => {
    const headers = { 'x-text': hostile.slice(0, 10_000), [hostile.slice(0, 100)]: '' };
    await fixture.inbox.setAside(rejectedMessage({ headers }));
    assert.deepEqual((await fixture.rejected())[0]?.headers, headers);
  });

  test('keeps the bytes of a payload over 1 MiB', async ({ fixture }) => {
    const payload = Buffer.alloc(1_500_000, Buffer.from([0, 255, 128]));
    await fixture.inbox.setAside(rejectedMessage({ payload }));
    assert.ok((await fixture.rejected())[0]?.payload?.equals(payload));
  });
}
