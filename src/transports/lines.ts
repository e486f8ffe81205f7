/**
 * Cuts a stream of bytes into frames at LF, and at LF alone.
 *
 * A reader of lines for people also splits at CR, U+2028 or U+2029, which are data inside a JSON text. A CR before the LF
 * stays with its frame, where it is white space. A line that becomes longer than a frame may be is given out as soon as that
 * is known, cut one byte past the limit so that its length tells; the rest of it is dropped unread. So what is kept is
 * bounded whatever comes. State: volatile (the beginning of a line).
 */
const LF = 0x0a;
const CR = 0x0d;
const HELD_BYTES_MIN = 4 * 1024;
const NOTHING = Buffer.alloc(0);

export class Lines {
  readonly #bytesMax: number;
  #chunk: Buffer = NOTHING;
  #at = 0;
  /** The beginning of a line, in a buffer that doubles: one object per byte would cost a hundred times what it holds. */
  #held: Buffer = NOTHING;
  #heldBytes = 0;
  #skipping = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are kept for the line that has not ended. */
  get heldBytes(): number {
    return this.#held.length;
  }

  push(chunk: Buffer): void {
    const rest = this.#chunk.subarray(this.#at);
    this.#chunk = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
  }

  /** The next line that is not empty, as far as it has come in. */
  next(): Buffer | undefined {
    while (this.#at < this.#chunk.length) {
      const end = this.#chunk.indexOf(LF, this.#at);
      const piece = this.#chunk.subarray(this.#at, end === -1 ? undefined : end);
      this.#at += piece.length + (end === -1 ? 0 : 1);
      if (this.#skipping) {
        this.#skipping = end === -1;
        continue;
      }
      const room = this.#bytesMax - this.#heldBytes;
      if (piece.length > room) {
        this.#skipping = end === -1;
        return this.#joined(piece.subarray(0, room + 1));
      }
      if (end === -1) this.#hold(piece);
      else {
        const line = this.#joined(piece);
        if (!isEmpty(line)) return line;
      }
    }
    this.#chunk = NOTHING;
    this.#at = 0;
    return undefined;
  }

  /** The stream is over: what came behind the last LF is a line too. */
  end(): Buffer | undefined {
    const line = this.#joined(NOTHING);
    return isEmpty(line) ? undefined : line;
  }

  #joined(piece: Buffer): Buffer {
    if (this.#heldBytes === 0) return piece;
    this.#hold(piece);
    const line = this.#held.subarray(0, this.#heldBytes);
    this.#held = NOTHING;
    this.#heldBytes = 0;
    return line;
  }

  /** A copy: the piece itself would keep the whole chunk that it was cut from. */
  #hold(piece: Buffer): void {
    const needed = this.#heldBytes + piece.length;
    if (needed > this.#held.length) {
      const doubled = Math.min(2 * this.#held.length, this.#bytesMax + 1);
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, doubled, HELD_BYTES_MIN));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    piece.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }
}

function isEmpty(line: Buffer): boolean {
  return line.length === 0 || (line.length === 1 && line[0] === CR);
}
