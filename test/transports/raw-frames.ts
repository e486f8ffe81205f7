/** WebSocket frames byte by byte, right or wrong, and a client on a bare socket that sends them and reads what comes back. */
import { connect, type Socket } from 'node:net';
import { handshake } from './in-test-reception.ts';

const TEXT = 1;
const CLOSE = 8;
export const PONG = 10;

export interface RawFrame {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** RSV1 to RSV3 as bits 4, 2, 1. */
  readonly reserved?: number;
  readonly masked?: boolean;
  readonly payload?: Buffer | string;
  /** What the head says, if that is not true. */
  readonly length?: number | bigint;
}

const MASK = Buffer.of(0x37, 0xfa, 0x21, 0x3d);

/** A frame of a client: whole, masked and right unless something else is said. */
export function rawFrame(frame: RawFrame = {}): Buffer {
  const { opcode = TEXT, fin = true, reserved = 0, masked = true } = frame;
  const payload = Buffer.from(frame.payload ?? '');
  const length = frame.length ?? payload.length;
  const bit = masked ? 0x80 : 0;
  const head = [Buffer.of((fin ? 0x80 : 0) | (reserved << 4) | opcode)];
  if (typeof length === 'bigint' || length >= 2 ** 16) {
    const long = Buffer.alloc(9);
    long[0] = bit | 127;
    long.writeBigUInt64BE(BigInt(length), 1);
    head.push(long);
  } else if (length >= 126) head.push(Buffer.of(bit | 126, length >> 8, length & 255));
  else head.push(Buffer.of(bit | length));
  if (!masked) return Buffer.concat([...head, payload]);
  return Buffer.concat([...head, MASK, payload.map((byte, index) => byte ^ MASK[index & 3]!)]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(reason)]);
}

export interface Received {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What a server sent: its frames are whole and unmasked. */
export function framesIn(bytes: Buffer): Received[] {
  const frames: Received[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = bytes[at + 1]!;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const start = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (start + length > bytes.length) break;
    frames.push({ opcode: bytes[at]! & 15, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}

/** Settles with the end of a socket, also when it ends with an error: who is hostile has to expect a reset. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** A client that is connected and sends what it is told to. */
export class RawPeer {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  #bytes = Buffer.alloc(0);
  #onHead: (() => void) | undefined;

  /** Settles when the handshake is answered: a close frame may be right behind it. */
  static async connect(port: number): Promise<RawPeer> {
    const peer = new RawPeer(port);
    await Promise.race([new Promise<void>((resolve) => (peer.#onHead = resolve)), peer.ended]);
    return peer;
  }

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.ended = closed(this.socket);
    // A server that had enough may reset the connection.
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      const end = this.#onHead === undefined ? -1 : this.#bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#bytes = this.#bytes.subarray(end + 4);
      this.#onHead?.();
      this.#onHead = undefined;
    });
    const head = Object.entries({ Host: '127.0.0.1', ...handshake }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`GET / HTTP/1.1\r\n${head.join('')}\r\n`);
  }

  get frames(): Received[] {
    return framesIn(this.#bytes);
  }

  /** The code of the close frame that came; undefined if none did, 0 if it carries none. */
  get closeCode(): number | undefined {
    const close = this.frames.find(({ opcode }) => opcode === CLOSE);
    return close && (close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 0);
  }

  send(...frames: readonly Buffer[]): void {
    for (const frame of frames) this.socket.write(frame);
  }
}
