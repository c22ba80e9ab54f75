import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from './tcp-proxy.ts';

describe('TcpProxy', () => {
  let echo: Server;
  let proxy: TcpProxy;
  let port: number;
  const clients: Socket[] = [];

  beforeEach(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = new TcpProxy((echo.address() as AddressInfo).port);
    port = await proxy.listen();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
    echo.close();
    await once(echo, 'close');
  });

  function open(): { socket: Socket; received: () => string; error: () => string | undefined } {
    const socket = connect(port, '127.0.0.1');
    clients.push(socket);
    let text = '';
    let code: string | undefined;
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code));
    return { socket, received: () => text, error: () => code };
  }

  it('passes on both ways, and the end of a connection', async () => {
    const client = open();
    client.socket.end('hello');
    await once(client.socket, 'close');
    expect(client.received()).toBe('hello');
    await eventually(() => expect(proxy.connections).toBe(0));
  });

  it('resets connections when it is cut, and each new one until it is resumed', async () => {
    const before = open();
    before.socket.write('a');
    await eventually(() => expect(before.received()).toBe('a'));
    proxy.cut();
    await eventually(() => expect(before.error()).toBe('ECONNRESET'));
    const during = open();
    await eventually(() => expect(during.error()).toBe('ECONNRESET'));
    proxy.resume();
    const after = open();
    after.socket.write('b');
    await eventually(() => expect(after.received()).toBe('b'));
  });

  it('holds everything while it is stalled, in order', async () => {
    const client = open();
    client.socket.write('1');
    await eventually(() => expect(client.received()).toBe('1'));
    proxy.stall();
    client.socket.write('2');
    const other = open();
    other.socket.write('x');
    await once(other.socket, 'connect');
    for (let turns = 0; turns < 50; turns++) await turn();
    expect([client.received(), other.received()]).toEqual(['1', '']);
    client.socket.write('3');
    proxy.resume();
    await eventually(() => expect([client.received(), other.received()]).toEqual(['123', 'x']));
  });

  it('delays each part, both ways', async () => {
    proxy.delay(60);
    const client = open();
    const startedAt = performance.now();
    client.socket.write('late');
    await eventually(() => expect(client.received()).toBe('late'));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
  });
});
