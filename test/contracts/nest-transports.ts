import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from '@jest/globals';
import { Transport, type ClientOptions, type MicroserviceOptions } from '@nestjs/microservices';
import { freePort } from '../services/wait.ts';
import type { NestTransportOptions } from './nest-client.harness.ts';

const HOST = '127.0.0.1';

type Refusable = NonNullable<NestTransportOptions['refusable']>;

/** JSON that is none: no envelope can hold it. */
const unreadable: Refusable = (message) => ({ ...message, payload: Buffer.from('{"broken') });

/** The server takes 1 MiB. */
const tooLarge: Refusable = (message) => ({
  ...message,
  payload: Buffer.from(JSON.stringify('x'.repeat(2 ** 21))),
});

/** Needs no server but the receiver itself. */
export async function tcp(): Promise<NestTransportOptions> {
  const port = await freePort();
  const clientAt = (given: number) =>
    ({ transport: Transport.TCP, options: { host: HOST, port: given } }) as const;
  return {
    server: clientAt(port),
    client: clientAt(port),
    clientAt,
    refusable: unreadable,
  };
}

interface OptionalServer {
  readonly isUp: boolean;
  readonly options: () => Promise<NestTransportOptions>;
}

type OptionsAt = (port: number) => MicroserviceOptions & ClientOptions;

const redisAt: OptionsAt = (port) => ({ transport: Transport.REDIS, options: { host: HOST, port } });
const natsAt: OptionsAt = (port) => ({
  transport: Transport.NATS,
  options: { servers: [`nats://${HOST}:${port}`] },
});
const mqttAt: OptionsAt = (port) => ({
  transport: Transport.MQTT,
  options: { url: `mqtt://${HOST}:${port}` },
});

/** Servers that a machine may have, at their default ports; the run does not start them. */
export const OPTIONAL_SERVERS: Readonly<Record<string, OptionalServer>> = {
  redis: await optional(6379, redisAt, unreadable),
  nats: await optional(4222, natsAt, tooLarge),
  mqtt: await optional(1883, mqttAt, unreadable),
};

/** Like `describeWith`, for these servers. */
export function describeWhenUp(name: string, { isUp }: OptionalServer, body: () => void): void {
  if (isUp) describe(name, body);
  else describe.skip(`${name} [needs ${name}]`, () => it('needs its server', () => undefined));
}

async function optional(
  port: number,
  optionsAt: OptionsAt,
  refusable: NestTransportOptions['refusable'],
): Promise<OptionalServer> {
  const options = { server: optionsAt(port), client: optionsAt(port), clientAt: optionsAt, refusable };
  return { isUp: await listens(port), options: async () => options };
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
