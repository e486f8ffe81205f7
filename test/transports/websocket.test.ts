import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, type RawData } from 'ws';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { rawClient, startTestServer, type Setup, type TestServer } from './in-test-reception.ts';

let server: TestServer;
afterEach(() => server.stop());
const start = async (setup?: Setup): Promise<TestServer> => (server = await startTestServer(setup));

const textOf = (data: RawData): string => (data as Buffer).toString();
const nextText = async (client: WebSocket): Promise<string> =>
  textOf(((await once(client, 'message')) as [RawData])[0]);
async function closeOf(client: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(client, 'close')) as [number, Buffer];
  return { code, reason: reason.toString() };
}
/** The messages of a client from now on, and a promise for the n-th. */
function collect(client: WebSocket, count: number): Promise<string[]> {
  const texts: string[] = [];
  return new Promise((resolve) => {
    client.on('message', (data) => {
      if (texts.push(textOf(data)) === count) resolve(texts);
    });
  });
}

describe('frames', () => {
  it('come in as bytes, whether they were sent as text or as binary', async () => {
    const { client, peers } = await start();
    const socket = await client();
    const answers = collect(socket, 2);
    socket.send('{"a":"ä"}');
    socket.send(Buffer.from([0xff, 0x00]));
    await answers;
    expect(peers[0]!.received).toEqual([Buffer.from('{"a":"ä"}'), Buffer.from([0xff, 0x00])]);
  });

  it('come in whole when they were sent in fragments', async () => {
    const { client, peers } = await start();
    const socket = await client();
    const answer = nextText(socket);
    socket.send('{"a":', { fin: false });
    socket.send('1', { fin: false });
    socket.send('}');
    expect(await answer).toBe('{"a":1}');
    expect(peers[0]!.received).toHaveLength(1);
  });

  // Every form of the frame's length, at its edges, and characters of every width.
  it.each([0, 1, 125, 126, 65_535, 65_536, 1_000_000])('of %i bytes arrive as they were written', async (length) => {
    const { client, peers } = await start();
    const socket = await client();
    const wide = 'aä€😀\ud800'.repeat(Math.floor(length / 13));
    const text = wide + 'x'.repeat(length - Buffer.byteLength(wide));
    const answers = collect(socket, 2);
    peers[0]!.outlet.write(text);
    peers[0]!.outlet.write('after');
    expect(await answers).toEqual([text.replaceAll('\ud800', '\ufffd'), 'after']);
  });

  it('of one tick leave in one write, in order', async () => {
    const { client, peers, sockets } = await start();
    const socket = await client();
    const write = vi.spyOn(sockets[0]!, 'write');
    const answers = collect(socket, 100);
    const expected = Array.from({ length: 100 }, (_, index) => `frame ${index}`);
    for (const text of expected) peers[0]!.outlet.write(text);
    expect(peers[0]!.outlet.bufferedBytes).toBeGreaterThanOrEqual(100 * 'frame 0'.length);
    expect(write).not.toHaveBeenCalled();
    expect(await answers).toEqual(expected);
    expect(write).toHaveBeenCalledTimes(1);
    expect(peers[0]!.outlet.bufferedBytes).toBe(0);
  });

  it('of a burst of commands are answered in as many writes as reads and turns, not as many as frames', async () => {
    const { client, sockets } = await start({
      onFrame: (outlet) => {
        for (const part of ['accepted', 'started', 'finished', 'response']) outlet.write(part);
      },
    });
    const socket = await client();
    const write = vi.spyOn(sockets[0]!, 'write');
    const reads = vi.fn<() => void>();
    sockets[0]!.on('data', reads);
    const answers = collect(socket, 400);
    for (let index = 0; index < 100; index += 1) socket.send('{}');
    await answers;
    // Where nothing else passes, a turn takes at least a stretch of eight.
    const turnsMax = Math.ceil(100 / 8);
    expect(write.mock.calls.length).toBeLessThanOrEqual(reads.mock.calls.length + turnsMax);
    expect(write.mock.calls.length).toBeLessThan(200);
  });

  it('of thousands from one client do not keep another one waiting, and stay in order', async () => {
    const received: string[] = [];
    const { client } = await start({
      onFrame: (outlet, bytes) => {
        received.push(Buffer.from(bytes).toString());
        outlet.write('taken');
      },
    });
    const [busy, other] = [await client(), await client()];
    const [allTaken, taken] = [collect(busy, 3_000), nextText(other)];
    for (let index = 0; index < 3_000; index += 1) busy.send(String(index));
    other.send('other');
    await Promise.all([allTaken, taken]);
    expect(received.indexOf('other')).toBeLessThan(1_000);
    expect(received.filter((text) => text !== 'other')).toEqual(Array.from({ length: 3_000 }, (_, at) => String(at)));
  });

  it('wait in a bounded measure that counts what the client has not taken', async () => {
    const { client, peers } = await start();
    const socket = await client();
    socket.pause();
    const { outlet } = peers[0]!;
    const chunk = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 64; count += 1) outlet.write(chunk);
    await new Promise((resolve) => setImmediate(resolve));
    expect(outlet.bufferedBytes).toBeGreaterThan(16 * 1024 * 1024);
    const answers = collect(socket, 64);
    socket.resume();
    await answers;
    await vi.waitFor(() => expect(outlet.bufferedBytes).toBe(0));
  });
});

describe('a frame that is too large', () => {
  it('by little reaches the runtime, which refuses it with a code', async () => {
    const { client, peers } = await start({ frameBytesMax: 1000 });
    const socket = await client();
    const answer = nextText(socket);
    socket.send('x'.repeat(1001));
    await answer;
    expect(peers[0]!.received[0]).toHaveLength(1001);
  });

  it('by far costs its client the connection, and nobody else', async () => {
    const { client } = await start({ frameBytesMax: 1000 });
    const [other, socket] = [await client(), await client()];
    const closed = closeOf(socket);
    socket.send('x'.repeat(100_000));
    expect((await closed).code).toBe(1009);
    const answer = nextText(other);
    other.send('still here');
    expect(await answer).toBe('still here');
  });
});

describe('trouble', () => {
  it('with a malformed frame closes that connection alone, after what was answered before', async () => {
    const { client, port, peers } = await start();
    const other = await client();
    const raw = await rawClient(port);
    const chunks: Buffer[] = [];
    raw.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A good masked frame "hi", then one with reserved bits set.
    raw.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69, 0xf1, 0x80, 0, 0, 0, 0]));
    await once(raw, 'end');
    raw.destroy();
    const bytes = Buffer.concat(chunks);
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from([0x81, 2, 0x68, 0x69]));
    expect([bytes[4], bytes.readUInt16BE(6)]).toEqual([0x88, 1002]);
    await vi.waitFor(() => expect(peers[1]!.closedCount).toBe(1));
    const answer = nextText(other);
    other.send('x');
    expect(await answer).toBe('x');
  });

  it('with a client that hangs up before its answer leaves nothing behind the close frame', async () => {
    const { port } = await start();
    const raw = await rawClient(port);
    const chunks: Buffer[] = [];
    raw.on('data', (chunk: Buffer) => chunks.push(chunk));
    // "hi" and a close frame in one chunk: the close is answered before the tick ends.
    raw.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69, 0x88, 0x80, 0, 0, 0, 0]));
    await once(raw, 'end');
    raw.destroy();
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([0x88, 0]));
  });

  it('with a client that is simply gone is told to the runtime once', async () => {
    const clock = createSimulatedClock();
    const { client, peers } = await start({ clock });
    const socket = await client();
    socket.terminate();
    await vi.waitFor(() => expect(peers[0]!.closedCount).toBe(1));
    expect(clock.pendingTimers).toBe(0);
    const { outlet } = peers[0]!;
    outlet.write('into the void');
    outlet.close(1000, 'again');
    await new Promise((resolve) => setImmediate(resolve));
    expect(peers[0]!.closedCount).toBe(1);
  });

  it('with a reset in the middle of a handshake or a frame leaves the server standing', async () => {
    const { client, port } = await start();
    const half = connect(port, '127.0.0.1');
    half.write('GET / HTTP/1.1\r\nHost: localhost\r\nUpgr');
    await once(half, 'ready');
    half.resetAndDestroy();
    const raw = await rawClient(port);
    raw.write(Buffer.from([0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]));
    raw.resetAndDestroy();
    const socket = await client();
    const answer = nextText(socket);
    socket.send('alive');
    expect(await answer).toBe('alive');
  });

  it('in the runtime costs one connection, with 1011 and a line in the log', async () => {
    const { client, observed } = await start({
      onFrame: () => {
        throw new Error('a bug');
      },
    });
    const socket = await client();
    const closed = closeOf(socket);
    socket.send('{}');
    expect(await closed).toEqual({ code: 1011, reason: 'Internal error' });
    expect(observed).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'a defect broke a connection' }),
    );
  });

  it('in the greeting costs one connection too', async () => {
    const { url } = await start({
      connect: () => {
        throw new Error('a bug');
      },
    });
    expect((await closeOf(new WebSocket(url))).code).toBe(1011);
  });
});

describe('closing', () => {
  it('sends what was written before, and nothing that comes later', async () => {
    const { client, peers } = await start();
    const socket = await client();
    const texts: string[] = [];
    socket.on('message', (data) => texts.push(textOf(data)));
    const closed = closeOf(socket);
    const { outlet } = peers[0]!;
    outlet.write('last words');
    outlet.close(4100, 'too slow');
    outlet.write('too late');
    outlet.close(1011, 'too late');
    expect(await closed).toEqual({ code: 4100, reason: 'too slow' });
    expect(texts).toEqual(['last words']);
  });

  it('cuts a reason that is too long for a close frame between two characters', async () => {
    const { client, peers } = await start();
    const socket = await client();
    const closed = closeOf(socket);
    peers[0]!.outlet.close(1011, 'x' + '€'.repeat(100));
    expect((await closed).reason).toBe('x' + '€'.repeat(40));
  });

  it('hands no frame on that comes after it', async () => {
    const { client, peers } = await start();
    const socket = await client();
    const closed = closeOf(socket);
    peers[0]!.outlet.close(1011, '');
    socket.send('late');
    await closed;
    expect(peers[0]!.received).toEqual([]);
  });

  it('does not wait for ever for a client that never answers', async () => {
    const clock = createSimulatedClock();
    const { port, peers, transport } = await start({ clock });
    const raw = await rawClient(port);
    const ended = once(raw, 'close');
    const stopped = transport.stop();
    clock.advance(2_999);
    expect(peers[0]!.closedCount).toBe(0);
    clock.advance(1);
    await stopped;
    await ended;
    expect(peers[0]!.closedCount).toBe(1);
  });

  it('of the whole transport says 1001 to everybody and refuses newcomers', async () => {
    const { client, url, transport } = await start();
    const sockets = [await client(), await client()];
    const closed = Promise.all(sockets.map(closeOf));
    const stopped = transport.stop();
    const late = new WebSocket(url);
    const [, response] = (await once(late, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(503);
    expect(await closed).toEqual([
      { code: 1001, reason: 'going away' },
      { code: 1001, reason: 'going away' },
    ]);
    await stopped;
  });
});

describe('the limit of connections', () => {
  it('sends the next one away with 1013, and lets it in when a place is free', async () => {
    const { client, url, peers } = await start({ connectionsMax: 2 });
    const [first] = [await client(), await client()];
    const surplus = new WebSocket(url);
    expect(await closeOf(surplus)).toEqual({ code: 1013, reason: 'Connection limit reached (2 connections)' });
    expect(peers).toHaveLength(2);
    first.close();
    await vi.waitFor(() => expect(peers[0]!.closedCount).toBe(1));
    await client();
    expect(peers).toHaveLength(3);
  });
});

describe('the heartbeat', () => {
  const heartbeat = { heartbeatIntervalMs: 30_000, heartbeatTimeoutMs: 10_000 };

  it('keeps a silent client that answers pings, and ends one that does not', async () => {
    const clock = createSimulatedClock();
    const { client, peers, observed } = await start({ clock, heartbeat });
    const good = await client();
    const bad = await client({ autoPong: false });
    const closed = closeOf(bad);
    for (let beat = 0; beat < 3; beat += 1) {
      const pinged = once(good, 'ping');
      clock.advance(heartbeat.heartbeatIntervalMs);
      await pinged;
      // The pong was read when the answer to a frame behind it is there.
      const answer = nextText(good);
      good.send('x');
      await answer;
    }
    expect(await closed).toEqual({ code: 1001, reason: 'Heartbeat timeout' });
    await vi.waitFor(() => expect(peers.map((peer) => peer.closedCount)).toEqual([0, 1]));
    expect(clock.pendingTimers).toBe(1);
    expect(observed).toContainEqual(
      expect.objectContaining({ message: 'connection closed', reason: 'Heartbeat timeout' }),
    );
  });

  it('spares a client whose pong is stuck behind a large frame of its own', async () => {
    const clock = createSimulatedClock();
    const { port, peers, sockets } = await start({ clock, heartbeat });
    const raw = await rawClient(port);
    raw.resume();
    clock.advance(heartbeat.heartbeatIntervalMs);
    for (let part = 0; part < 3; part += 1) {
      const arrived = once(sockets[0]!, 'data');
      raw.write(part === 0 ? Buffer.from([0x81, 0xfe, 0x03, 0x00, 1, 2, 3, 4]) : Buffer.alloc(100));
      await arrived;
      clock.advance(heartbeat.heartbeatTimeoutMs);
      clock.flush();
      expect([part, peers[0]!.closedCount, sockets[0]!.destroyed]).toEqual([part, 0, false]);
    }
    clock.advance(heartbeat.heartbeatTimeoutMs);
    clock.flush();
    // It does not answer the close frame either.
    clock.advance(3_000);
    await vi.waitFor(() => expect(peers[0]!.closedCount).toBe(1));
  });
});
