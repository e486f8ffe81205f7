/**
 * The outgoing frames of one WebSocket, collected while a tick lasts and written at its end as one buffer.
 *
 * A command causes several frames. Written one by one each costs a system call, and even corked each costs two chunks and
 * a callback; one buffer for all of them takes about half of the processor time of that. So data frames are encoded here:
 * a server's are unmasked, whole and uncompressed, a head of two to ten bytes before the text. Control frames stay with
 * `ws`, which writes them between two batches.
 *
 * Frames leave in the order of `write`. State: volatile.
 */
import type { Socket } from 'node:net';

const TEXT_FRAME = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export class Outgoing {
  readonly #socket: Socket;
  /** False once a close frame is on its way: nothing may follow it. */
  readonly #isOpen: () => boolean;
  #texts: string[] = [];
  #lengths: number[] = [];
  #bytes = 0;
  readonly #flushLater = (): void => this.flush();

  constructor(socket: Socket, isOpen: () => boolean) {
    this.#socket = socket;
    this.#isOpen = isOpen;
  }

  /** Bytes that the operating system has not taken yet. */
  get bufferedBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  write(text: string): void {
    if (this.#texts.length === 0) process.nextTick(this.#flushLater);
    const length = Buffer.byteLength(text);
    this.#texts.push(text);
    this.#lengths.push(length);
    this.#bytes += headBytes(length) + length;
  }

  flush(): void {
    const texts = this.#texts;
    if (texts.length === 0) return;
    const lengths = this.#lengths;
    const bytes = this.#bytes;
    this.#texts = [];
    this.#lengths = [];
    this.#bytes = 0;
    if (!this.#isOpen()) return;

    const batch = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let index = 0; index < texts.length; index += 1) {
      const length = lengths[index]!;
      at = writeHead(batch, at, length);
      at += batch.write(texts[index]!, at, length, 'utf8');
    }
    this.#socket.write(batch);
  }
}

function headBytes(length: number): number {
  return length < LENGTH_16 ? 2 : length < 2 ** 16 ? 4 : 10;
}

/** @returns where the text begins. */
function writeHead(batch: Buffer, at: number, length: number): number {
  batch[at] = TEXT_FRAME;
  if (length < LENGTH_16) {
    batch[at + 1] = length;
    return at + 2;
  }
  if (length < 2 ** 16) {
    batch[at + 1] = LENGTH_16;
    return batch.writeUInt16BE(length, at + 2);
  }
  batch[at + 1] = LENGTH_64;
  batch.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
  return batch.writeUInt32BE(length >>> 0, at + 6);
}
