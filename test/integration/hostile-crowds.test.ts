/** Thousands of connections, honest and not, at once and one after the other: afterwards the server is what it was before. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { RawPeer, rawFrame } from '../transports/raw-frames.ts';
import { Client } from './client.ts';
import { startServer, temporaryFolder } from './server-process.ts';

const HONEST = 2_000;
const SILENT = 500;
const BROKEN = 300;
const AT_ONCE = 100;

async function inTurns<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => open(from + index));
    opened.push(...(await Promise.all(batch)));
  }
  return opened;
}

async function greeted(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  onTestFinished(() => socket.terminate());
  await once(socket, 'message');
  return socket;
}

async function silent(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

it(
  '2,000 clients among those that say nothing, stop in a frame or break the protocol',
  { timeout: 180_000 },
  async () => {
    const server = await startServer(temporaryFolder(), { config: { limits: { connectionsMax: 2_600 } } });
    const url = await server.url();
    const port = Number(new URL(url).port);
    const witness = await Client.connect(server);
    const live = async (): Promise<object> => {
      const { data } = await witness.answer({ type: 'get_metrics' });
      return { ...(data.live as object), known: 0, timers: 0 };
    };
    await witness.answer({ type: 'create_session', sessionId: 's' });
    const before = await live();
    expect(before).toMatchObject({ connections: 1 });

    await inTurns(SILENT, (index) => silent(port, index % 2 === 0 ? '' : 'GET / HTTP/1.1\r\nHost: 127'));
    const unfinished = await inTurns(BROKEN, async () => {
      const peer = await RawPeer.connect(port);
      onTestFinished(() => void peer.socket.destroy());
      peer.send(rawFrame({ payload: 'x', length: 1_000_000 }));
      return peer;
    });
    const clients = await inTurns(HONEST, () => greeted(url));
    expect(await live()).toMatchObject({ connections: 1 + BROKEN + HONEST });
    // Each of them is there: an event of the session reaches the last one.
    const last = clients.at(-1)!;
    const synced = new Promise<void>((resolve) => {
      last.on('message', (data: Buffer) => void (data.includes('"session_synced"') && resolve()));
    });
    last.send(JSON.stringify({ type: 'attach_session', id: 'attach', sessionId: 's' }));
    await synced;

    // They go in every way there is.
    for (const [index, { socket, send }] of unfinished.entries()) {
      if (index % 3 === 0) socket.resetAndDestroy();
      else if (index % 3 === 1) socket.end();
      else send.call(unfinished[index], Buffer.alloc(1_000_000 - 1), rawFrame({ reserved: 7 }));
    }
    for (const [index, client] of clients.entries()) {
      if (index % 2 === 0) client.close();
      else client.terminate();
    }
    await vi.waitFor(async () => expect(await live()).toEqual(before), { timeout: 60_000, interval: 100 });
    expect(await (await Client.connect(server)).answer({ type: 'ping' })).toMatchObject({ success: true });
    expect(server.log.filter(({ level }) => level > 30)).toEqual([]);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  },
);

it('a server that is full says so with 1013, and a place that becomes free is used again', async () => {
  const server = await startServer(temporaryFolder(), { config: { limits: { connectionsMax: 3 } } });
  const clients = [await Client.connect(server), await Client.connect(server), await Client.connect(server)];
  const surplus = new Client(await server.url());
  expect(await surplus.closed).toEqual({ code: 1013, reason: 'Connection limit reached (3 connections)' });
  clients[0]!.socket.terminate();
  await vi.waitFor(async () => {
    const { data } = await clients[1]!.answer({ type: 'get_metrics' });
    expect(data.live).toMatchObject({ connections: 2 });
  });
  const next = await Client.connect(server);
  expect(await next.answer({ type: 'ping' })).toMatchObject({ success: true });
});
