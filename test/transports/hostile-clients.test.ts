/** Clients that come slowly, stay for nothing, ask for too much or do not read: they cost themselves their connection, or nothing. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { ask, handshake, startTestServer, type Setup, type TestServer } from './in-test-reception.ts';
import { closed, PONG, RawPeer, rawFrame } from './raw-frames.ts';

const MIB = 1024 * 1024;
let server: TestServer;
const opened: Socket[] = [];
afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy();
  await server.stop();
});
const start = async (setup?: Setup): Promise<TestServer> => (server = await startTestServer(setup));
const eventually = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 15_000, interval: 5 });

/** A bare connection, once the server has it. */
async function bare(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  opened.push(socket);
  const before = server.sockets.length;
  await once(socket, 'connect');
  await eventually(() => expect(server.sockets.length).toBeGreaterThan(before));
  return socket;
}

async function raw(): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  opened.push(peer.socket);
  return peer;
}

/** A new client gets an answer. */
async function expectService(): Promise<void> {
  const client = await server.client();
  const answered = once(client, 'message');
  client.send('hello');
  await answered;
  client.terminate();
}

describe('a connection that does not become a WebSocket', () => {
  it('is ended after a time, whether it says nothing or drips header after header', async () => {
    await start({ headersTimeoutMs: 200 });
    const silent = await bare();
    const dripping = await bare();
    const text = 'GET / HTTP/1.1\r\nHost: localhost\r\n';
    let at = 0;
    const drip = setInterval(() => dripping.write(at < text.length ? text[(at += 1) - 1]! : 'X-A: b\r\n'), 5);
    await Promise.all([silent, dripping].map((socket) => closed(socket.resume())));
    clearInterval(drip);
    await expectService();
  });

  it('leaves room for those who talk: the oldest of them makes place for the newest', async () => {
    await start({ connectionsMax: 2 });
    const silent: Socket[] = [];
    // Two places for clients and 64 more: a hundred that say nothing are forty too many.
    for (let count = 0; count < 100; count += 1) silent.push(await bare());
    await eventually(() => expect(silent.filter(({ destroyed }) => destroyed)).toHaveLength(34));
    expect(silent.slice(0, 34).every(({ destroyed }) => destroyed)).toBe(true);
    await expectService();
    await expectService();
  });

  it('takes no place from a client once that is connected', async () => {
    const { client, peers } = await start({ connectionsMax: 2 });
    await client();
    for (let count = 0; count < 100; count += 1) await bare();
    await expectService();
    expect(peers[0]!.closedCount).toBe(0);
  });

  it('is refused when its headers are too many', async () => {
    const { port } = await start();
    const headers = { ...handshake, Host: 'localhost', Cookie: 'x'.repeat(20_000) };
    expect((await ask(port, '/', headers)).status).toBe(431);
    await expectService();
  });
});

describe('clients beyond the limit', () => {
  it('are told with 1013, and when too many are being told, refused with 503; a place that is free is used again', async () => {
    const { client, port, url, peers } = await start({ connectionsMax: 1 });
    const first = await client();
    // They do not answer the close frame, so each is being told for a while.
    const surplus: RawPeer[] = [];
    for (let count = 0; count < 64; count += 1) surplus.push(await raw());
    await eventually(() => expect(surplus.map(({ closeCode }) => closeCode)).toEqual(surplus.map(() => 1013)));
    const refused = await ask(port, '/', { ...handshake, Host: 'localhost' });
    expect([refused.status, JSON.parse(refused.body)]).toEqual([
      503,
      { success: false, errorCode: 'RATE_LIMITED', error: 'Connection limit reached (1 connections)' },
    ]);
    for (const { socket } of surplus) socket.destroy();
    await eventually(() => expect(server.sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(1));
    const [code] = (await once(new WebSocket(url), 'close')) as [number];
    expect(code).toBe(1013);
    first.close();
    await eventually(() => expect(peers[0]!.closedCount).toBe(1));
    await expectService();
  });
});

describe('a frame that never ends', () => {
  it('is taken as long as there is room, and then the oldest one costs its client the connection', async () => {
    const { peers } = await start({ frameBytesMax: MIB, unfinishedBytesMax: 3 * MIB });
    const [old, busy, young] = [await raw(), await raw(), await raw()];
    const taken = 1_400_000;
    const whole = rawFrame({ payload: 'x'.repeat(1_500_000) });
    old.send(whole.subarray(0, 1000));
    await eventually(() => expect(server.sockets[0]!.bytesRead).toBeGreaterThan(1000));
    // One that finishes its frames is never old, however many there are.
    for (let count = 0; count < 8; count += 1) busy.send(rawFrame({ payload: Buffer.alloc(MIB, 'y') }));
    await eventually(() => expect(peers[1]!.received).toHaveLength(8));
    busy.send(whole.subarray(0, taken));
    await eventually(() => expect(server.sockets[1]!.bytesRead).toBeGreaterThan(8 * MIB + taken));
    young.send(whole.subarray(0, taken));
    await eventually(() => expect(server.sockets[2]!.bytesRead).toBeGreaterThan(taken));
    expect(peers.map(({ closedCount }) => closedCount)).toEqual([0, 0, 0]);
    const third = await raw();
    third.send(whole.subarray(0, taken));
    await eventually(() => expect([old.closeCode, busy.closeCode]).toEqual([1013, 1013]));
    young.send(whole.subarray(taken));
    await eventually(() => expect(peers[2]!.received).toHaveLength(1));
    await expectService();
  });

  it('is no frame that a client has begun: one that only answers pings holds nothing', async () => {
    const { peers } = await start({ unfinishedBytesMax: 100 });
    const peer = await raw();
    for (let count = 0; count < 200; count += 1) {
      const pong = rawFrame({ opcode: 10, payload: 'a pong' });
      peer.send(pong.subarray(0, 3), pong.subarray(3));
      if (count % 20 === 0) await eventually(() => expect(peers[0]!.pongs).toBe(count + 1));
    }
    await eventually(() => expect(peers[0]!.pongs).toBe(200));
    peer.send(rawFrame({ payload: 'x' }));
    await eventually(() => expect(peers[0]!.received).toHaveLength(1));
  });

  it('in pieces of a byte is ended before the pieces cost more than they hold', async () => {
    const { peers } = await start();
    const peer = await raw();
    const [reader] = server.sockets;
    peer.socket.setNoDelay(true);
    peer.send(rawFrame({ payload: '', length: 60_000 }));
    for (let count = 1; peer.closeCode === undefined && count < 3_000; count += 1) {
      const arrived = once(reader!, 'data');
      peer.send(Buffer.of(1));
      await Promise.race([arrived, peer.ended]);
    }
    await eventually(() => expect(peer.closeCode).toBe(1008));
    await eventually(() => expect(peers[0]!.closedCount).toBe(1));
    await expectService();
  });
});

describe('a flood of pings', () => {
  it('from a client that does not read leaves one answer waiting, and is no reason to close', async () => {
    const { peers } = await start();
    const peer = await raw();
    peer.socket.pause();
    const { outlet } = peers[0]!;
    const burst = Buffer.concat(Array.from({ length: 1_000 }, () => rawFrame({ opcode: 9, payload: 'p'.repeat(125) })));
    let most = 0;
    for (let count = 1; count <= 100; count += 1) {
      // Now and then something that has to be answered, until nothing is taken any more.
      if (outlet.bufferedBytes < MIB) outlet.write('x'.repeat(100_000));
      peer.send(burst, rawFrame({ payload: `${count}` }));
      await eventually(() => expect(peers[0]!.received).toHaveLength(count));
      most = Math.max(most, outlet.bufferedBytes);
    }
    // 100,000 answers would be 13 MB.
    expect(most).toBeLessThan(2 * MIB);
    peer.send(rawFrame({ opcode: 9, payload: 'last' }));
    peer.socket.resume();
    await eventually(() =>
      expect(peer.frames.findLast(({ opcode }) => opcode === PONG)?.payload.toString()).toBe('last'),
    );
    expect(peers[0]!.closedCount).toBe(0);
  });
});
