import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Gate } from './gate.ts';

/** A way to a server that can be cut, stalled and slowed down; what passes it is not looked at. */
export class TcpProxy {
  readonly #gate = new Gate();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #targetPort: number;
  #isCut = false;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** @returns the port to connect to */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => resolve());
    });
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Resets all connections, and each new one until {@link resume}. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Lets nothing pass, not even the end of a connection, until {@link resume}; then what has waited passes. */
  stall(): void {
    this.#gate.shut();
  }

  /** Each part of the stream arrives this much later. */
  delay(ms: number): void {
    this.#gate.delayMs = ms;
  }

  resume(): void {
    this.#isCut = false;
    this.#gate.delayMs = 0;
    this.#gate.open();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.resume();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#isCut) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      // A reset is passed on as one; there is nobody else to tell.
      from.on('error', () => void this.#gate.pass(() => to.resetAndDestroy()));
      from.on('close', () => this.#sockets.delete(from));
      this.#forward(from, to);
    }
  }

  #forward(from: Socket, to: Socket): void {
    let tail = Promise.resolve();
    const inOrder = (step: () => void): void => {
      const due = performance.now() + this.#gate.delayMs;
      tail = tail.then(() => this.#gate.pass(step, due));
    };
    from.on('data', (chunk: Buffer) =>
      inOrder(() => {
        if (to.writable) to.write(chunk);
      }),
    );
    from.on('end', () => inOrder(() => to.end()));
  }
}
