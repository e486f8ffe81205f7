/**
 * Hostile clients for a while: frames drawn from a seed, floods of pings by clients that do not read, connections that break the
 * protocol again and again, sockets that say nothing, frames that never end. And beside them a newcomer who wants one answer.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { HostileFrameSource } from '../integration/hostile-frame-source.ts';
import { Random } from '../integration/random.ts';
import { RawPeer, rawFrame } from '../transports/raw-frames.ts';
import { request, sleep } from './load.ts';
import { latencyOf, type Latency } from './statistics.ts';
import { Wire } from './wire.ts';

export interface StormOptions {
  readonly port: number;
  readonly windowMs: number;
  readonly seed: number;
}

export interface StormResult {
  readonly frames: number;
  readonly pings: number;
  readonly connections: number;
}

export interface NewcomerOptions {
  readonly port: number;
  readonly windowMs: number;
}

export interface NewcomerResult {
  /** From the first packet of the connection to the answer to its first command. */
  readonly latency: Latency;
}

const COMMANDS = [
  'ping',
  'get_state',
  'set_session_name',
  'create_session',
  'delete_session',
  'prompt',
  'abort',
  'subscribe',
];
const SENDERS = 4;
const OUTSTANDING = 16;
const PINGERS = 2;
const BREAKERS = 2;
const SILENT = 1_500;
const UNENDING = 50;
const PAUSE_MS = 5;
const pings = Buffer.concat(Array.from({ length: 500 }, () => rawFrame({ opcode: 9, payload: 'p'.repeat(100) })));

export async function storm({ port, windowMs, seed }: StormOptions): Promise<StormResult> {
  const end = performance.now() + windowMs;
  const isOver = (): boolean => performance.now() >= end;
  const done = { frames: 0, pings: 0, connections: 0 };
  const held: Socket[] = [];
  const random = new Random(seed);

  async function send(index: number): Promise<void> {
    const source = new HostileFrameSource(random, COMMANDS, `storm-${seed}-${index}`);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    let outstanding = 0;
    const pump = (): void => {
      for (; outstanding < OUTSTANDING && !isOver(); outstanding += 1) {
        socket.send(source.next().data);
        done.frames += 1;
      }
    };
    socket.on('message', (data: Buffer) => {
      if (!data.subarray(0, 18).equals(RESPONSE)) return;
      outstanding -= 1;
      pump();
    });
    await once(socket, 'open');
    pump();
    await sleep(windowMs);
    socket.terminate();
  }

  async function ping(): Promise<void> {
    const { socket } = await RawPeer.connect(port);
    held.push(socket);
    socket.pause();
    while (!isOver() && !socket.destroyed) {
      done.pings += 500;
      if (!socket.write(pings)) await Promise.race([once(socket, 'drain'), sleep(windowMs)]);
      await sleep(0);
    }
  }

  async function breakProtocol(): Promise<void> {
    while (!isOver()) {
      const peer = await RawPeer.connect(port);
      done.connections += 1;
      peer.send(rawFrame({ payload: '{}' }), rawFrame({ reserved: 1 + random.below(7) }));
      await peer.ended;
    }
  }

  async function sayNothing(): Promise<void> {
    for (let count = 0; !isOver(); count += 1) {
      const socket = createConnection({ port, host: '127.0.0.1' }).on('error', () => undefined);
      done.connections += 1;
      held.push(socket);
      if (held.length > SILENT) held.shift()?.destroy();
      if (count % 10 === 0) await sleep(PAUSE_MS);
    }
  }

  async function neverEnd(): Promise<void> {
    const peer = await RawPeer.connect(port);
    held.push(peer.socket);
    peer.send(rawFrame({ payload: 'x', length: 10_000_000 }));
    for (; !isOver() && !peer.socket.destroyed; await sleep(20)) peer.send(Buffer.alloc(1_000));
  }

  const several = (count: number, one: (index: number) => Promise<void>): Promise<void>[] =>
    Array.from({ length: count }, (_, index) => one(index));
  await Promise.all([
    ...several(SENDERS, send),
    ...several(PINGERS, ping),
    ...several(BREAKERS, breakProtocol),
    ...several(UNENDING, neverEnd),
    sayNothing(),
  ]);
  for (const socket of held) socket.destroy();
  return done;
}

const RESPONSE = Buffer.from('{"type":"response"');

/** One new client after the other. */
export async function newcomer({ port, windowMs }: NewcomerOptions): Promise<NewcomerResult> {
  const end = performance.now() + windowMs;
  const times: number[] = [];
  while (performance.now() < end) {
    const startedAt = performance.now();
    const wire = await Wire.connect(port);
    await request(wire, '{"type":"ping","id":"newcomer"}');
    times.push(performance.now() - startedAt);
    await wire.close();
    await sleep(PAUSE_MS);
  }
  return { latency: latencyOf(times) };
}
