import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Outgoing } from '../../src/transports/outgoing.ts';
import { framesIn, PONG } from './raw-frames.ts';

/** Writes frames in one tick and reads them as RFC 6455 says. */
async function carried(texts: readonly string[]): Promise<string[]> {
  const socket = new PassThrough({ highWaterMark: 2 ** 24 });
  const outgoing = new Outgoing(socket as unknown as Socket, () => true);
  for (const text of texts) outgoing.write(text);
  outgoing.flush();
  socket.end();
  const bytes = await buffer(socket);
  const received: string[] = [];
  for (let at = 0; at < bytes.length;) {
    expect(bytes[at]).toBe(0x81);
    const short = bytes[at + 1]!;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const start = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    received.push(bytes.toString('utf8', start, start + length));
    at = start + length;
  }
  return received;
}

describe('outgoing frames', () => {
  it.each([0, 1, 125, 126, 127, 1_023, 1_024, 65_535, 65_536, 200_000])(
    'of %i characters arrive whole, in ASCII and in others',
    async (length) => {
      const texts = ['a', 'é', '€', '😀'].map((character) => character.repeat(length));
      expect(await carried(texts)).toEqual(texts);
    },
  );

  it('keep their order, whatever characters they are of', async () => {
    const texts = ['{"a":1}', '{"a":"é"}', '{"b":2}', '{"c":3}', '{"a":"日本"}', '{"a":"ÿ"}', '{"d":4}'];
    expect(await carried(texts)).toEqual(texts);
  });

  it('are counted in bytes, heads included', () => {
    const outgoing = new Outgoing(new PassThrough() as unknown as Socket, () => true);
    outgoing.write('a'.repeat(10));
    expect(outgoing.bufferedBytes).toBe(12);
    outgoing.write('é'.repeat(200));
    expect(outgoing.bufferedBytes).toBe(12 + 404);
  });
});

describe('pongs', () => {
  /** A socket that takes nothing until it is told to. */
  function stalled() {
    const socket = new PassThrough({ highWaterMark: 1024 });
    const outgoing = new Outgoing(socket as unknown as Socket, () => true);
    return { socket, outgoing };
  }
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const pongsIn = (bytes: Buffer): string[] =>
    framesIn(bytes)
      .filter(({ opcode }) => opcode === PONG)
      .map(({ payload }) => payload.toString());

  it('answer the newest ping of a tick', async () => {
    const { socket, outgoing } = stalled();
    for (const text of ['a', 'b', 'c']) outgoing.pong(Buffer.from(text));
    await tick();
    outgoing.pong(Buffer.alloc(0));
    await tick();
    expect(pongsIn(socket.read() as Buffer)).toEqual(['c', '']);
  });

  it('wait for room, one at most, and go when there is some', async () => {
    const { socket, outgoing } = stalled();
    outgoing.write('x'.repeat(2_000));
    await tick();
    const before = outgoing.bufferedBytes + socket.readableLength;
    for (let count = 0; count < 1_000; count += 1) {
      outgoing.pong(Buffer.from(`ping ${count}`));
      if (count % 10 === 0) await tick();
    }
    expect(outgoing.bufferedBytes + socket.readableLength).toBe(before);
    const taken = buffer(socket);
    await tick();
    await tick();
    socket.end();
    expect(pongsIn(await taken)).toEqual(['ping 999']);
  });

  it('keep nothing of the chunk that the ping came in', async () => {
    const { socket, outgoing } = stalled();
    const chunk = Buffer.from('ping and more');
    outgoing.pong(chunk.subarray(0, 4));
    chunk.fill(0);
    await tick();
    expect(pongsIn(socket.read() as Buffer)).toEqual(['ping']);
  });
});
