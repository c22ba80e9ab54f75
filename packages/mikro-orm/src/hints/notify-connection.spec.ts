import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { NotifyConnection } from './notify-connection.js';

const CHANNEL = 'cqrs_outbox_1';

/** Answers each statement at once, and remembers it. */
class FakeClient extends EventEmitter {
  readonly processID = 1;
  readonly connection = { stream: { destroy: (): void => undefined } };
  readonly statements: string[] = [];

  connect(): Promise<void> {
    return Promise.resolve();
  }

  query(statement: string): Promise<void> {
    this.statements.push(statement);
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  /** As the server says it of another process. */
  say(payload: string): void {
    this.emit('notification', { channel: CHANNEL, payload, processId: 2 });
  }
}

describe('The connection of the hints', () => {
  const listener = () => {
    const hints: string[] = [];
    return { hints, onHint: (hint: string) => hints.push(hint), onLost: () => undefined };
  };

  it('goes on listening for the second one when the first one stops late', async () => {
    const client = new FakeClient();
    const connection = await NotifyConnection.open(client, CHANNEL, () => undefined);
    const [first, second] = [listener(), listener()];
    const stopFirst = await connection.listen(first);
    const stopSecond = await connection.listen(second);
    await stopFirst();
    client.say('a');
    expect([first.hints, second.hints]).toEqual([[], ['a']]);
    expect(client.statements).toEqual([`listen "${CHANNEL}"`, `listen "${CHANNEL}"`]);
    await stopSecond();
    client.say('b');
    expect(second.hints).toEqual(['a']);
    expect(client.statements.at(-1)).toBe(`unlisten "${CHANNEL}"`);
    await connection.close();
  });
});
