/** Bytes that RFC 6455 forbids: each ends its own connection, with the code that says why, and nobody notices. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestServer, type TestServer } from './in-test-reception.ts';
import { closePayload, RawPeer, rawFrame, type RawFrame } from './raw-frames.ts';

const FRAME_BYTES_MAX = 1000;
/** What the transport takes in of one message, so that it can be refused with a code. */
const TAKEN_BYTES_MAX = FRAME_BYTES_MAX + 64 * 1024;
const PIECES_MAX = 1024;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ frameBytesMax: FRAME_BYTES_MAX, connectionsMax: 1000 });
});
afterAll(() => server.stop());

const start: RawFrame = { fin: false, payload: 'a' };
const rest = (fin: boolean, payload: RawFrame['payload'] = 'b'): RawFrame => ({ opcode: 0, fin, payload });
const frames = (...all: RawFrame[]): Buffer => Buffer.concat(all.map(rawFrame));
const repeated = (frame: RawFrame, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => rawFrame(frame)));
const badUtf8 = Buffer.of(0x61, 0xc3, 0x28);

const FORBIDDEN: readonly (readonly [what: string, code: number, bytes: Buffer])[] = [
  ...[1, 2, 3, 4, 7].map((reserved) => [`reserved bits ${reserved}`, 1002, frames({ reserved })] as const),
  ['the bit for compression on a ping', 1002, frames({ opcode: 9, reserved: 4 })],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, 1002, frames({ opcode })] as const),
  ['a frame without a mask', 1002, frames({ masked: false, payload: '{}' })],
  ['a ping without a mask', 1002, frames({ opcode: 9, masked: false })],
  ...[8, 9, 10].map((opcode) => [`a fragment of control ${opcode}`, 1002, frames({ opcode, fin: false })] as const),
  ...[8, 9, 10].map(
    (opcode) => [`126 bytes of control ${opcode}`, 1002, frames({ opcode, payload: 'x'.repeat(126) })] as const,
  ),
  ['a length of control that is a lie', 1002, frames({ opcode: 9, length: 70_000n })],
  ['a continuation of nothing', 1002, frames(rest(true))],
  ['a continuation behind a whole message', 1002, frames({ payload: 'a' }, rest(true))],
  ['a message inside of a message', 1002, frames(start, { payload: 'c' })],
  ['a length beyond what may be, before a byte of it came', 1009, frames({ length: TAKEN_BYTES_MAX + 1 })],
  ['a length beyond what numbers can count', 1009, frames({ length: 2n ** 53n })],
  ['a length with its sign set', 1009, frames({ length: 2n ** 63n })],
  ['the largest length', 1009, frames({ length: 2n ** 64n - 1n })],
  [
    'fragments that add up to too much',
    1009,
    frames(start, rest(false, 'x'.repeat(60_000)), rest(false, 'x'.repeat(7_000))),
  ],
  ['fragments without end', 1008, Buffer.concat([rawFrame(start), repeated(rest(false), PIECES_MAX)])],
  ['empty fragments without end', 1008, Buffer.concat([rawFrame(start), repeated(rest(false, ''), PIECES_MAX)])],
  ['text that is no UTF-8', 1007, frames({ payload: badUtf8 })],
  ['text whose fragments are no UTF-8', 1007, frames({ ...start, payload: badUtf8.subarray(0, 2) }, rest(true, '('))],
  ['half of a surrogate', 1007, frames({ payload: Buffer.of(0xed, 0xa0, 0x80) })],
  ['a close frame of one byte', 1002, frames({ opcode: 8, payload: 'x' })],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(
    (code) => [`a close with ${code}`, 1002, frames({ opcode: 8, payload: closePayload(code) })] as const,
  ),
  ['a close whose reason is no UTF-8', 1007, frames({ opcode: 8, payload: closePayload(1000, badUtf8) })],
];

const TOLERATED: readonly (readonly [what: string, received: number, bytes: Buffer])[] = [
  ['an empty message', 1, frames({})],
  ['binary bytes that are no UTF-8', 1, frames({ opcode: 2, payload: badUtf8 })],
  ['control frames between fragments', 1, frames(start, { opcode: 9 }, { opcode: 10 }, rest(true))],
  [
    'as many fragments as may be',
    1,
    Buffer.concat([rawFrame(start), repeated(rest(false), 1022), rawFrame(rest(true))]),
  ],
  ['a pong that nobody asked for', 0, frames({ opcode: 10, payload: 'x' })],
];

describe('a client that sends', () => {
  it.each(FORBIDDEN)('%s is closed with %i, alone', async (_, code, bytes) => {
    const witness = await server.client();
    const before = server.peers.length;
    const peer = await RawPeer.connect(server.port);
    // What came before the offence is answered, what comes behind it is not even read.
    peer.send(rawFrame({ payload: '{"first":1}' }), bytes, rawFrame({ payload: '{"late":1}' }));
    await peer.ended;
    expect(peer.closeCode).toBe(code);
    const seen = server.peers[before]!;
    await vi.waitFor(() => expect(seen.closedCount).toBe(1));
    const texts = seen.received.map((received) => received.toString());
    expect([texts[0], texts.includes('{"late":1}')]).toEqual(['{"first":1}', false]);
    const answered = new Promise((resolve) => witness.once('message', resolve));
    witness.send('still here');
    await answered;
    witness.terminate();
  });

  it.each(TOLERATED)('%s is served on', async (_, received, bytes) => {
    const before = server.peers.length;
    const peer = await RawPeer.connect(server.port);
    peer.send(bytes, rawFrame({ payload: 'behind' }));
    const seen = server.peers[before]!;
    await vi.waitFor(() => expect(seen.received.at(-1)?.toString()).toBe('behind'));
    expect([seen.received.length, seen.closedCount]).toEqual([received + 1, 0]);
    peer.socket.destroy();
  });

  it.each([1000, 1001, 3000, 4999])('a close with %i gets the same code back', async (code) => {
    const peer = await RawPeer.connect(server.port);
    peer.send(rawFrame({ opcode: 8, payload: closePayload(code, 'bye') }), Buffer.alloc(1000, 0xff));
    await peer.ended;
    expect(peer.closeCode).toBe(code);
  });

  it('a close and then keeps its socket open is let go all the same', async () => {
    const before = server.peers.length;
    const peer = await RawPeer.connect(server.port);
    peer.socket.allowHalfOpen = true;
    peer.send(rawFrame({ opcode: 8, payload: closePayload(1000) }));
    await vi.waitFor(() => expect(server.peers[before]!.closedCount).toBe(1), { timeout: 15_000 });
    peer.socket.destroy();
  });
});
