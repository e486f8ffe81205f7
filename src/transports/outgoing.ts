/**
 * The outgoing frames of one WebSocket, collected while a tick lasts and written at its end together.
 *
 * A command causes several frames. Written one by one each costs a system call, and even corked each costs two chunks and
 * a callback; one text for all of them takes less than half of the processor time of that. So data frames are encoded here:
 * a server's are unmasked, whole and uncompressed, a head of two to ten bytes before the text. Frames of ASCII alone, which
 * nearly all are, are laid end to end as a string whose characters are the bytes: the socket takes it without a buffer in
 * between. Control frames stay with `ws`, which writes them between two batches; pongs alone are sent here.
 *
 * Who pings and does not read must not fill the memory with pongs: only the newest ping of a tick is answered, as RFC 6455
 * (5.5.3) allows, and not before there is room for the answer. Frames leave in the order of `write`. State: volatile.
 */
import type { Socket } from 'node:net';

const TEXT_FRAME = 0x81;
const PONG_FRAME = 0x8a;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export class Outgoing {
  readonly #socket: Socket;
  /** False once a close frame is on its way: nothing may follow it. */
  readonly #isOpen: () => boolean;
  /** Frames of ASCII, one character for each byte. */
  #run = '';
  /** Runs and other frames that come before `#run`. */
  #pieces: (string | Buffer)[] = [];
  #bytes = 0;
  /** What the newest ping that is not answered carried. */
  #pong: Buffer | undefined;
  readonly #flushLater = (): void => this.flush();

  constructor(socket: Socket, isOpen: () => boolean) {
    this.#socket = socket;
    this.#isOpen = isOpen;
    socket.on('drain', () => this.#answerPing());
  }

  /** Bytes that the operating system has not taken yet. */
  get bufferedBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  write(text: string): void {
    if (this.#bytes === 0) process.nextTick(this.#flushLater);
    const length = Buffer.byteLength(text);
    const head = headOf(length);
    if (length === text.length) this.#run += head + text;
    else {
      if (this.#run !== '') this.#pieces.push(this.#run);
      this.#run = '';
      this.#pieces.push(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(text)]));
    }
    this.#bytes += head.length + length;
  }

  /** Calls back once the operating system has taken what was written so far; not at all when the socket breaks before. */
  whenTaken(callback: () => void): void {
    this.flush();
    if (!this.#isOpen()) return;
    // An empty write keeps its place among the others.
    this.#socket.write('', (error) => {
      if (error == null) callback();
    });
  }

  /** Answers a ping at the end of the tick, unless a newer one comes. */
  pong(payload: Buffer): void {
    if (this.#pong === undefined) process.nextTick(() => this.#answerPing());
    // The payload is a view of a chunk that may be five hundred times as large.
    this.#pong = Buffer.from(payload);
  }

  #answerPing(): void {
    const payload = this.#pong;
    if (payload === undefined || !this.#isOpen() || this.#socket.writableNeedDrain) return;
    this.#pong = undefined;
    this.#socket.write(Buffer.concat([Buffer.of(PONG_FRAME, payload.length), payload]));
  }

  flush(): void {
    if (this.#bytes === 0) return;
    const pieces = this.#pieces;
    if (this.#run !== '') pieces.push(this.#run);
    this.#run = '';
    this.#pieces = [];
    this.#bytes = 0;
    if (!this.#isOpen()) return;
    const [first] = pieces;
    if (pieces.length === 1 && first !== undefined) this.#put(first);
    else {
      this.#socket.cork();
      for (const piece of pieces) this.#put(piece);
      this.#socket.uncork();
    }
  }

  #put(piece: string | Buffer): void {
    if (typeof piece === 'string') this.#socket.write(piece, 'latin1');
    else this.#socket.write(piece);
  }
}

/** Most frames are short, and there are few lengths. */
const heads: string[] = [];
const HEADS_KEPT_MAX = 1_024;

/** A frame's head, one character for each byte. */
function headOf(length: number): string {
  if (length >= HEADS_KEPT_MAX) return makeHead(length);
  return (heads[length] ??= makeHead(length));
}

function makeHead(length: number): string {
  const bytes = [TEXT_FRAME];
  if (length < LENGTH_16) bytes.push(length);
  else if (length < 2 ** 16) bytes.push(LENGTH_16, length >> 8, length & 0xff);
  else {
    bytes.push(LENGTH_64);
    for (let byte = 7; byte >= 0; byte -= 1) bytes.push(Math.floor(length / 2 ** (8 * byte)) & 0xff);
  }
  return String.fromCharCode(...bytes);
}
