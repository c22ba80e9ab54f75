import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const PRODUCE = 0;
const HOST = '127.0.0.1';

/**
 * Stands before a broker of this machine, and has clients believe that it is the broker. It can be silent: what a client
 * sends is passed on, and no answer comes back.
 */
export class KafkaProxy {
  isSilent = false;
  /** The `acks` of each produce request that has come. */
  readonly acks: number[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #brokerPort: number;

  constructor(brokerPort: number) {
    this.#brokerPort = brokerPort;
    this.#server = createServer((client) => this.accept(client));
  }

  /** How many produce requests have come. */
  get produced(): number {
    return this.acks.length;
  }

  /** @returns its address */
  async listen(): Promise<string> {
    this.#server.listen(0, HOST);
    await once(this.#server, 'listening');
    return `${HOST}:${this.port}`;
  }

  /** Of clients. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  private get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  private accept(client: Socket): void {
    const broker = connect(this.#brokerPort, HOST);
    this.tie(client, broker);
    this.tie(broker, client);
    onFrame(client, (frame) => {
      if (frame.readInt16BE(4) === PRODUCE) this.acks.push(acksOf(frame));
      broker.write(frame);
    });
    onFrame(broker, (frame) => {
      if (!this.isSilent) client.write(withPort(frame, this.#brokerPort, this.port));
    });
  }

  /** One ends with the other. */
  private tie(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    socket
      .on('error', () => undefined)
      .on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
  }
}

/** Requests and answers alike begin with their length. */
function onFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  });
}

/** Of a produce request of version 9 or later, without a transaction: `acks` comes behind the client's name. */
function acksOf(frame: Buffer): number {
  const nameAt = 12;
  return frame.readInt16BE(nameAt + 2 + frame.readInt16BE(nameAt) + 2);
}

/** Puts another port behind each address of the broker. */
function withPort(frame: Buffer, from: number, to: number): Buffer {
  const changed = Buffer.from(frame);
  for (let at = changed.indexOf(HOST); at >= 0; at = changed.indexOf(HOST, at + 1)) {
    const portAt = at + HOST.length;
    if (changed.readInt32BE(portAt) === from) changed.writeInt32BE(to, portAt);
  }
  return changed;
}
