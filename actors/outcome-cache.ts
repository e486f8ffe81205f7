/**
 * The newest outcomes with the commands that they belong to, as bytes beside the heap, bounded in bytes, oldest out first.
 *
 * As objects they are what survives of a command: half a kilobyte that the collector copies twice before it leaves it alone,
 * in pauses of 20 ms at 20,000 commands per second. Here they are written once, end to end, and made objects again for the
 * few who ask. State: volatile.
 */
import type { Outcome } from './message.ts';

export interface KeptOutcome {
  /** The command as it was received. */
  readonly text: string;
  readonly outcome: Outcome;
}

/** Called for a record that had to go. */
export type OnDropped = (place: number, owner: number) => void;

interface Chunk {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  /** Where the next record goes. */
  end: number;
}

/** A record never lies in two chunks; one that is larger gets a chunk of its own. */
const CHUNK_BYTES = 256 * 1024;
/** A place is the number of a chunk and where the record lies in it. More than a chunk can have. */
const STRIDE = 2 ** 32;
/** Words of a record's head: how long it is, whose it is, how long its text and its outcome are. */
const [BYTES, OWNER, TEXT, OUTCOME, HEAD] = [0, 1, 2, 3, 4];
const HEAD_BYTES = HEAD * 4;
/** A character may be written like this in JSON. */
const ESCAPED = '\\u';
/** What a character takes at most. */
const UTF8_BYTES_MAX = 3;

export class OutcomeCache {
  readonly #bytesMax: number;
  readonly #onDropped: OnDropped;
  readonly #chunks = new Map<number, Chunk>();
  /** The number of the newest chunk, and of the one that holds the oldest record. */
  #newest = 0;
  #oldest = 1;
  /** Where the oldest record lies in its chunk. */
  #head = 0;
  #bytes = 0;
  /** An emptied chunk for the next one. */
  #spare: Chunk | undefined;

  constructor(bytesMax: number, onDropped: OnDropped) {
    this.#bytesMax = bytesMax;
    this.#onDropped = onDropped;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns its place, or 0 when it is larger than all that may be kept together. */
  add(owner: number, text: string, outcome: Outcome): number {
    const told = isPlain(outcome) ? '' : JSON.stringify(outcome);
    if (HEAD_BYTES + text.length + told.length > this.#bytesMax) return 0;
    const chunk = this.#roomFor(text, told);
    const { bytes, words, end } = chunk;
    const head = end / 4;
    const textBytes = bytes.write(text, end + HEAD_BYTES);
    const toldBytes = told === '' ? 0 : bytes.write(told, end + HEAD_BYTES + textBytes);
    const length = aligned(HEAD_BYTES + textBytes + toldBytes);
    if (length > this.#bytesMax) return 0;
    words[head + BYTES] = length;
    words[head + OWNER] = owner;
    words[head + TEXT] = textBytes;
    words[head + OUTCOME] = toldBytes;
    chunk.end = end + length;
    this.#bytes += length;
    const place = this.#newest * STRIDE + end;
    this.#dropSurplus();
    return place;
  }

  read(place: number): KeptOutcome {
    const chunk = this.#chunks.get(Math.floor(place / STRIDE));
    if (chunk === undefined) throw new Error('An outcome was asked for that is not kept any more.');
    const { bytes, words } = chunk;
    const at = place % STRIDE;
    const text = at + HEAD_BYTES;
    const told = text + words[at / 4 + TEXT]!;
    const end = told + words[at / 4 + OUTCOME]!;
    const outcome = end === told ? PLAIN : (JSON.parse(bytes.toString('utf8', told, end)) as Outcome);
    return { text: bytes.toString('utf8', text, told), outcome };
  }

  /**
   * Forgets what names `quoted`, a string of JSON, and what may name it in another spelling. Its bytes are overwritten, its room is
   * free when it is the oldest.
   */
  forget(quoted: string): void {
    this.#forget((kept) => kept.includes(quoted) || kept.includes(ESCAPED));
  }

  /** Forgets those that this says of, by place and owner. */
  forgetWhere(isConcerned: (place: number, owner: number) => boolean): void {
    this.#forget((_kept, place, owner) => isConcerned(place, owner));
  }

  #forget(isConcerned: (kept: Buffer, place: number, owner: number) => boolean): void {
    for (const [number, { bytes, words, end }] of this.#chunks) {
      let at = number === this.#oldest ? this.#head : 0;
      while (at < end) {
        const head = at / 4;
        const next = at + words[head + BYTES]!;
        const kept = bytes.subarray(at + HEAD_BYTES, next);
        const place = number * STRIDE + at;
        const owner = words[head + OWNER]!;
        if (isConcerned(kept, place, owner)) {
          this.#onDropped(place, owner);
          kept.fill(0);
          words[head + TEXT] = 0;
          words[head + OUTCOME] = 0;
        }
        at = next;
      }
    }
  }

  #roomFor(text: string, told: string): Chunk {
    const newest = this.#chunks.get(this.#newest);
    let most = aligned(HEAD_BYTES + (text.length + told.length) * UTF8_BYTES_MAX);
    if (newest !== undefined && newest.end + most <= newest.bytes.length) return newest;
    if (most > CHUNK_BYTES) most = aligned(HEAD_BYTES + Buffer.byteLength(text) + Buffer.byteLength(told));
    const spare = most <= CHUNK_BYTES ? this.#spare : undefined;
    if (spare !== undefined) this.#spare = undefined;
    const chunk = spare ?? newChunk(Math.max(CHUNK_BYTES, most));
    chunk.end = 0;
    this.#newest += 1;
    this.#chunks.set(this.#newest, chunk);
    return chunk;
  }

  #dropSurplus(): void {
    while (this.#bytes > this.#bytesMax) {
      const chunk = this.#chunks.get(this.#oldest)!;
      if (this.#head === chunk.end) {
        this.#chunks.delete(this.#oldest);
        if (chunk.bytes.length === CHUNK_BYTES) this.#spare = chunk;
        this.#oldest += 1;
        this.#head = 0;
        continue;
      }
      const head = this.#head / 4;
      this.#onDropped(this.#oldest * STRIDE + this.#head, chunk.words[head + OWNER]!);
      this.#bytes -= chunk.words[head + BYTES]!;
      this.#head += chunk.words[head + BYTES]!;
    }
  }
}

function newChunk(length: number): Chunk {
  const bytes = Buffer.allocUnsafeSlow(length);
  return { bytes, words: new Uint32Array(bytes.buffer), end: 0 };
}

const PLAIN: Outcome = { success: true };

/** Nothing but success, as nearly every command that changes something says. */
function isPlain(outcome: Outcome): boolean {
  return outcome.success && outcome.data === undefined && outcome.details === undefined;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 4) * 4;
