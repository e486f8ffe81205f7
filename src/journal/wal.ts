/**
 * Reads SQLite's write-ahead log as its file format says, before SQLite does: how far it holds, and what lies behind that.
 *
 * SQLite takes the log up to the last good commit and drops the rest without a word. That is right for a transaction that was
 * being written when the machine went down, and wrong for one that was acknowledged and damaged afterwards. The two are told
 * apart by what follows: a transaction is synced before the next one is written, so whatever lies in front of another
 * transaction of the same log was acknowledged. State: none; nothing is written.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { Words, same } from './wal-words.ts';
import type { Sum } from './wal-words.ts';

export interface WalReport {
  /** Frames up to the last good commit: what SQLite will take. */
  readonly frames: number;
  /** Where that ends. */
  readonly endByte: number;
  /** Why it ends there, if not because there is nothing more. */
  readonly flaw?: WalFlaw;
}

export interface WalFlaw {
  /** Where the first thing lies that does not fit. */
  readonly byte: number;
  readonly why: string;
  /** True when it was good once and acknowledged; false when it may be what a crash left of the last transaction. */
  readonly damage: boolean;
}

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;
const VERSION = 3_007_000;
/** What is read at once. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** `pageBytes` as the database says, for a log whose header does not. `undefined`: there is no log. */
export function readWal(path: string, pageBytes: number): WalReport | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return undefined;
  const file = openSync(path, 'r');
  try {
    const header = new Words(new Uint8Array(HEADER_BYTES));
    readSync(file, header.bytes, 0, HEADER_BYTES, 0);
    const start = startOf(header);
    if (start !== undefined) return walk(file, size, start, new Tail(header.number(16), header.number(20)));
    return { frames: 0, endByte: 0, flaw: headless(file, size, header, pageBytes) };
  } finally {
    closeSync(file);
  }
}

/** What it takes to check the frames. */
interface Start {
  readonly pageBytes: number;
  readonly bigEndian: boolean;
  readonly sum: Sum;
}

/** `undefined`: SQLite will not read a log that begins like this. */
function startOf(header: Words): Start | undefined {
  const magic = header.number(0);
  const bigEndian = magic === MAGIC + 1;
  const pageBytes = header.number(8);
  const isPower = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0;
  if ((magic !== MAGIC && !bigEndian) || header.number(4) !== VERSION || !isPower) return undefined;
  const sum = header.sum([0, 0], 0, HEADER_BYTES - 8, bigEndian);
  return same(sum, header.pair(24)) ? { pageBytes, bigEndian, sum } : undefined;
}

/** What the frames behind the last good one say. */
class Tail {
  readonly #salts: Sum;
  #firstBad: number | undefined;
  #whole = 0;
  #commits = 0;
  #behindACommit = false;

  constructor(salt1: number, salt2: number) {
    this.#salts = [salt1, salt2];
  }

  get firstBad(): number | undefined {
    return this.#firstBad;
  }

  /** True: frames of this log lie there, good or bad. */
  get lives(): boolean {
    return this.#whole > 0;
  }

  /** True: a transaction in there was synced, because something was written behind it. */
  get acknowledged(): boolean {
    return this.#behindACommit;
  }

  belongs(frame: Frame): boolean {
    return same(frame.salts, this.#salts);
  }

  take(frame: Frame, index: number): void {
    this.#firstBad ??= index;
    // The salts are no part of a frame's checksum: one that follows from the last good frame belongs here, whatever they say.
    // Further behind it would be a frame of an older log that follows from another one of its own.
    const goesOn = index === this.#firstBad && frame.follows;
    if (!this.belongs(frame) && !goesOn) return;
    this.#whole += 1;
    if (this.#commits > 0) this.#behindACommit = true;
    if (frame.commits) this.#commits += 1;
  }
}

interface Frame {
  readonly salts: Sum;
  readonly commits: boolean;
  /** Its checksum follows from the stored one of the frame before. */
  readonly follows: boolean;
  readonly page: number;
}

function walk(file: number, size: number, start: Start, tail: Tail): WalReport {
  const frameBytes = FRAME_HEADER_BYTES + start.pageBytes;
  const atFrame = (index: number): number => HEADER_BYTES + index * frameBytes;
  let frames = 0;
  let good = 0;
  let index = 0;
  for (const frame of framesOf(file, size, start)) {
    const fits = tail.firstBad === undefined && frame.follows && tail.belongs(frame) && frame.page !== 0;
    if (!fits) tail.take(frame, index);
    else {
      good = index + 1;
      if (frame.commits) frames = good;
    }
    index += 1;
  }
  const report = { frames, endByte: frames === 0 ? HEADER_BYTES : atFrame(frames) };
  const rest = (size - HEADER_BYTES) % frameBytes;
  if (tail.lives) {
    const why = 'a frame of the log does not fit its checksum';
    return { ...report, flaw: { byte: atFrame(tail.firstBad ?? good), why, damage: tail.acknowledged } };
  }
  if (good > frames) {
    return { ...report, flaw: { byte: atFrame(good), why: 'the last transaction has no end', damage: false } };
  }
  if (rest > 0 && tail.firstBad === undefined) {
    return { ...report, flaw: { byte: atFrame(good), why: 'the last frame is not whole', damage: false } };
  }
  return report;
}

/** A log without a header that SQLite would take: is it one that was in use? */
function headless(file: number, size: number, header: Words, databasePageBytes: number): WalFlaw {
  for (const pageBytes of new Set([databasePageBytes, header.number(8)])) {
    if (pageBytes < 512 || pageBytes > 65_536 || pageBytes % 512 !== 0) continue;
    for (const bigEndian of [false, true]) {
      for (const sum of [header.pair(24), header.sum([0, 0], 0, HEADER_BYTES - 8, bigEndian)]) {
        const [first] = framesOf(file, size, { pageBytes, bigEndian, sum });
        // Zeros, which some file systems leave after a loss of power, have the sum of zeros.
        if (first?.follows === true && first.page !== 0)
          return { byte: 0, why: 'the header of the log is damaged', damage: true };
      }
    }
  }
  return { byte: 0, why: 'the header of the log is not whole', damage: false };
}

function* framesOf(file: number, size: number, { pageBytes, bigEndian, sum }: Start): Generator<Frame> {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const count = Math.max(0, Math.floor((size - HEADER_BYTES) / frameBytes));
  const atOnce = Math.max(1, Math.floor(CHUNK_BYTES / frameBytes));
  const chunk = new Words(new Uint8Array(Math.min(count, atOnce) * frameBytes));
  let before = sum;
  for (let first = 0; first < count; first += atOnce) {
    const frames = Math.min(atOnce, count - first);
    readSync(file, chunk.bytes, 0, frames * frameBytes, HEADER_BYTES + first * frameBytes);
    for (let at = 0; at < frames * frameBytes; at += frameBytes) {
      const head = chunk.sum(before, at, 8, bigEndian);
      const computed = chunk.sum(head, at + FRAME_HEADER_BYTES, pageBytes, bigEndian);
      const stored = chunk.pair(at + 16);
      yield {
        salts: chunk.pair(at + 8),
        commits: chunk.number(at + 4) !== 0,
        follows: same(computed, stored),
        page: chunk.number(at),
      };
      before = stored;
    }
  }
}
