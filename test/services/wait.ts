import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Rejects when `work` has not settled in time. What it was waiting for is left alone. */
export async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const limit = sleep(limitMs, undefined, { signal: over.signal }).then(
    () => Promise.reject(new Error(`${what}: no answer within ${limitMs / 1000} s`)),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work, limit]);
  } finally {
    over.abort();
  }
}

/**
 * A free loopback port below the range from which the system numbers outgoing connections. Up there a client
 * that retries while its server is down can take the server's port, or even connect to itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await canListen(port)) return port;
  }
  throw new Error('no free port between 20000 and 32000');
}

/**
 * Rejects if somebody else listens there: a probe would take the stranger for the server that was to start.
 * Waits a moment, because the children of a killed server may hold its port a little longer.
 */
export async function awaitFreePort(port: number): Promise<void> {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    if (await canListen(port)) return;
    await sleep(100);
  }
  throw new Error(`port ${port} is taken by another process`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
