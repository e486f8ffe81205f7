/**
 * The outgoing frames of a byte stream, one line each, as the bounded queue of one reader.
 *
 * One block at a time is with the stream; what comes meanwhile waits here and leaves as the next block. So the frames of a
 * tick leave in one write, and what waits is known to the byte without asking the stream, which may be a pipe, a file or a
 * terminal. How much may wait is the business of those who write. State: volatile.
 */
import type { Writable } from 'node:stream';
import type { Clock } from '../../actors/ports.ts';

/** Characters after which no further frame joins a block: a few times what a pipe takes at once. */
const BLOCK_CHARS = 256 * 1024;
/** Bytes in one write: a reader that takes a part of a large block is seen to do so. */
const WRITE_BYTES_MAX = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/** What is told about the one who reads. */
export interface LineReader {
  /** Some of what waited was taken. */
  taken(): void;
  /** Nothing can be written any more. */
  broken(error: Error): void;
}

export class LineWriter {
  readonly #stream: Writable;
  readonly #reader: LineReader;
  #lines: string[] = [];
  #block: Buffer = NOTHING;
  #bytes = 0;
  #taken = 0;
  #state: 'idle' | 'scheduled' | 'writing' | 'ended' = 'idle';
  #onEmpty: (() => void) | undefined;
  /** Bytes that were given to it so far, and who waits until so many are taken. */
  #given = 0;
  #awaited: { readonly given: number; readonly callback: () => void }[] = [];

  constructor(stream: Writable, reader: LineReader) {
    this.#stream = stream;
    this.#reader = reader;
  }

  /** Bytes that the reader has not taken. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  write(line: string): void {
    if (this.#state === 'ended') return;
    this.#lines.push(line);
    const bytes = Buffer.byteLength(line) + 1;
    this.#bytes += bytes;
    this.#given += bytes;
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    process.nextTick(() => this.#writeMore());
  }

  /** Calls back once the reader has taken what was written so far; not at all when nobody reads any more. */
  whenTaken(callback: () => void): void {
    if (this.#state === 'ended') return;
    this.#awaited.push({ given: this.#given, callback });
    if (this.#bytes === 0) process.nextTick(() => this.#tellTaken());
  }

  /** Settles when the reader has taken everything, or nothing more for `patienceMs`. */
  finish(clock: Clock, patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: unknown;
      const end = (): void => {
        clock.clearTimeout(timer);
        this.discard();
        resolve();
      };
      const watch = (): void => {
        const before = this.#taken;
        timer = clock.setTimeout(() => (this.#taken === before ? end() : watch()), patienceMs);
      };
      if (this.#bytes === 0) return end();
      this.#onEmpty = end;
      watch();
    });
  }

  /** Nobody reads any more: forgets what waits, and takes nothing. */
  discard(): void {
    this.#state = 'ended';
    this.#lines = [];
    this.#awaited = [];
    this.#block = NOTHING;
    this.#bytes = 0;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = undefined;
    onEmpty?.();
  }

  #writeMore(): void {
    if (this.#state === 'ended') return;
    if (this.#block.length === 0) this.#block = this.#nextBlock();
    if (this.#block.length === 0) {
      this.#state = 'idle';
      this.#onEmpty?.();
      return;
    }
    this.#state = 'writing';
    const part = this.#block.subarray(0, WRITE_BYTES_MAX);
    this.#block = this.#block.subarray(part.length);
    this.#stream.write(part, (error) => {
      if (this.#state === 'ended') return;
      if (error) return this.#reader.broken(error);
      this.#bytes -= part.length;
      this.#taken += part.length;
      this.#writeMore();
      this.#reader.taken();
      this.#tellTaken();
    });
  }

  #tellTaken(): void {
    while (this.#awaited.length > 0 && this.#awaited[0]!.given <= this.#taken) this.#awaited.shift()!.callback();
  }

  /** Whole lines, each with its LF. JSON has no raw LF, so the reader can cut there. */
  #nextBlock(): Buffer {
    let count = 0;
    for (let chars = 0; count < this.#lines.length && chars < BLOCK_CHARS; count += 1)
      chars += this.#lines[count]!.length;
    return count === 0 ? NOTHING : Buffer.from(`${this.#lines.splice(0, count).join('\n')}\n`);
  }
}
