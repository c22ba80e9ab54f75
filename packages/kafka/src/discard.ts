import type { Base } from '@platformatic/kafka';

/** Closes a client for good. What it has not written yet is not sent any more, and all that it has in hand fails. */
export async function discard(client: Base): Promise<void> {
  const sockets = [...client.connections].map(([, { socket }]) => socket as typeof socket | undefined);
  const closed = client.close();
  // The client itself waits until its buffers are written, which a broker that hangs does not let happen.
  for (const socket of sockets) socket?.destroy();
  await closed;
}
