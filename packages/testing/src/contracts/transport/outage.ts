import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { sampleMessage } from '../sample-message.js';
import type { TestFunctions } from '../test-functions.js';
import type { ClosableTransport, TransportHarness } from '../transport-harness.js';

/** What `publish` and `close` may take at most, here where the transport was given half a second. */
const LIMIT_MS = 10_000;

/** Without its broker a transport says so, in bounded time, and can still be closed. */
export function outageTests(
  { acknowledgement }: TransportHarness,
  openAt: (port: number) => Promise<ClosableTransport>,
  { it }: TestFunctions,
): void {
  const publishesNothing = async (port: number): Promise<void> => {
    const opened = await openAt(port);
    const { transport } = opened;
    try {
      for (const _round of [1, 2]) {
        const messages = [
          sampleMessage({ key: 'a' }),
          sampleMessage({ key: 'a' }),
          sampleMessage({ key: 'b' }),
        ];
        const results = await within('publish', transport.publish(messages));
        const [first, second, third] = results.map(({ status }) => status);
        assert.deepEqual([first, third], ['unavailable', 'unavailable']);
        assert.ok(second === 'held' || second === 'unavailable', second);
      }
    } finally {
      await within('close', transport.close());
      await within('close', transport.close());
      await opened.close();
    }
  };

  it('is unavailable when nothing listens', async () => {
    const server = await silentServer();
    await server.close();
    await publishesNothing(server.port);
  });

  it('can be closed when it was never used', async () => {
    const server = await silentServer();
    await server.close();
    const opened = await openAt(server.port);
    await within('close', opened.transport.close());
    await within('close', opened.transport.close());
    await opened.close();
  });

  if (acknowledgement === 'when written') return;

  it('is unavailable, after a bounded time, when its broker never answers', async () => {
    const server = await silentServer();
    try {
      await publishesNothing(server.port);
    } finally {
      await server.close();
    }
  });
}

/** Takes connections, and says nothing. */
async function silentServer(): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => undefined)
      .on('close', () => sockets.delete(socket))
      .resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, close };
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took over ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
