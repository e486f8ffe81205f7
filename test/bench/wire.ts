/**
 * A WebSocket client on a bare TCP socket, for load: it costs as little as a client can, so that what is measured is the
 * server. Text frames only; frames are looked at where they lie in the received bytes. State: volatile.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

/** Any mask that is not zero: a server may skip unmasking with zero, and would be measured without it. */
const MASK = [0x5b, 0x2e, 0x91, 0x67] as const;

const TEXT = 0x81;
const PING = 0x89;
const PONG = 0x8a;
const CLOSE = 0x88;

/** Where a frame's payload lies: `bytes[start]` to `bytes[end - 1]`. */
export type OnFrame = (bytes: Buffer, start: number, end: number) => void;

const DIGITS = 9;
/** What stands in a command's text where its number goes. */
export const NUMBER = '#'.repeat(DIGITS);

/** A masked frame of a command, ready but for the number in it. */
export class PreparedFrame {
  readonly bytes: Buffer;
  readonly #places: readonly number[];
  readonly #masks: readonly number[];

  constructor(text: string) {
    this.bytes = maskedFrame(text);
    const head = this.bytes.length - Buffer.byteLength(text);
    const places: number[] = [];
    for (let at = text.indexOf(NUMBER); at >= 0; at = text.indexOf(NUMBER, at + DIGITS)) {
      places.push(Buffer.byteLength(text.slice(0, at)));
    }
    this.#places = places.map((place) => head + place);
    this.#masks = places.map((place) => place & 3);
  }

  /** @returns where the next frame begins. */
  write(target: Buffer, at: number, number: number): number {
    this.bytes.copy(target, at);
    for (let index = 0; index < this.#places.length; index += 1) {
      const from = at + this.#places[index]!;
      const mask = this.#masks[index]!;
      for (let digit = DIGITS - 1, rest = number; digit >= 0; digit -= 1) {
        target[from + digit] = (48 + (rest % 10)) ^ MASK[(mask + digit) & 3]!;
        rest = Math.floor(rest / 10);
      }
    }
    return at + this.bytes.length;
  }
}

function maskedFrame(text: string, opcode = TEXT): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  const head =
    length < 126 ? Buffer.of(opcode, 0x80 | length) : Buffer.of(opcode, 0x80 | 126, length >> 8, length & 255);
  if (length >= 2 ** 16) throw new Error('a frame of the bench is shorter than 64 KiB');
  payload.forEach((byte, index) => (payload[index] = byte ^ MASK[index & 3]!));
  return Buffer.concat([head, Buffer.from(MASK), payload]);
}

export class Wire {
  onFrame: OnFrame = () => undefined;
  /** Called behind the frames of each piece that was read: the moment to write what they made room for. */
  onRead: () => void = () => undefined;
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #closing = false;
  /** Why the connection ended before `close`, if it did. */
  problem: string | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<Wire> {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    const wire = new Wire(socket);
    socket.write(
      `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dHJvdXBlLWJlbmNobWFyaw==\r\n\r\n',
    );
    await wire.#handshake();
    return wire;
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  sendText(text: string): void {
    this.#socket.write(maskedFrame(text));
  }

  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#closing = true;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  async #handshake(): Promise<void> {
    let head = Buffer.alloc(0);
    let end = -1;
    while (end < 0) {
      const [piece] = (await once(this.#socket, 'data')) as [Buffer];
      head = Buffer.concat([head, piece]);
      end = head.indexOf('\r\n\r\n');
    }
    const status = head.toString('latin1', 0, head.indexOf('\r\n'));
    if (!status.includes(' 101 ')) throw new Error(`the server refused the WebSocket: ${status}`);
    this.#socket.on('data', (piece) => this.#read(piece));
    this.#socket.on('error', (error) => (this.problem ??= error.message));
    this.#socket.on('close', () => {
      if (!this.#closing) this.problem ??= 'the server closed the connection';
    });
    const rest = head.subarray(end + 4);
    if (rest.length > 0) this.#read(rest);
  }

  #read(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (bytes.length - at >= 2) {
      let length = bytes[at + 1]!;
      let start = at + 2;
      if (length === 126) {
        if (bytes.length - at < 4) break;
        length = bytes.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (bytes.length - at < 10) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      const end = start + length;
      if (end > bytes.length) break;
      const opcode = bytes[at];
      if (opcode === TEXT) this.onFrame(bytes, start, end);
      else if (opcode === PING) this.#socket.write(maskedFrame(bytes.toString('latin1', start, end), PONG));
      else if (opcode === CLOSE) this.problem ??= `closed by the server: ${bytes.toString('utf8', start + 2, end)}`;
      else this.problem ??= `a frame with the first byte ${opcode} came`;
      at = end;
    }
    this.#rest = at === bytes.length ? EMPTY : Buffer.from(bytes.subarray(at));
    this.onRead();
  }
}

const EMPTY = Buffer.alloc(0);
