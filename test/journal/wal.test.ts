/** The reader of write-ahead logs against SQLite itself, and what it says about that which SQLite throws away in silence. */
import Database from 'better-sqlite3';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWal } from '../../src/journal/wal.ts';
import type { WalReport } from '../../src/journal/wal.ts';
import { dice } from './damaged-journal.ts';

const HEADER = 32;
const FRAME = 24 + 4_096;

let folder: string;
let path: string;
/** A database of one table, and its log of a dozen transactions of one to four frames with older frames behind. */
let file: Buffer;
let log: Buffer;
/** How many frames each transaction ends behind. */
let ends: readonly number[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-wal-'));
  path = join(folder, 'some.db');
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.exec('CREATE TABLE texts (text TEXT)');
  const insert = database.prepare('INSERT INTO texts VALUES (?)');
  for (let count = 0; count < 30; count += 1) insert.run('old'.repeat(3_000));
  database.pragma('wal_checkpoint(RESTART)');
  const found: number[] = [];
  for (let count = 0; count < 12; count += 1) {
    insert.run('new'.repeat(count * 400));
    found.push(readWal(`${path}-wal`, 4_096)!.frames);
  }
  [file, log, ends] = [readFileSync(path), readFileSync(`${path}-wal`), found];
  database.close();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(bytes: Uint8Array): WalReport | undefined {
  const other = join(folder, 'other.db');
  writeFileSync(`${other}-wal`, bytes);
  return readWal(`${other}-wal`, 4_096);
}

/** So many frames SQLite takes. */
function taken(bytes: Uint8Array): number {
  const other = join(mkdtempSync(join(folder, 'taken-')), 'other.db');
  writeFileSync(other, file);
  writeFileSync(`${other}-wal`, bytes);
  const database = new Database(other);
  try {
    database.prepare('SELECT count(*) FROM texts').get();
    const [{ log: frames }] = database.pragma('wal_checkpoint(PASSIVE)') as [{ log: number }];
    return frames;
  } finally {
    database.close();
  }
}

function changed(at: number, change: (byte: number) => number): Buffer {
  const bytes = Buffer.from(log);
  bytes.writeUInt8(change(bytes.readUInt8(at)) & 0xff, at);
  return bytes;
}

const atFrame = (index: number): number => HEADER + index * FRAME;

describe('a log is read', () => {
  it('up to where SQLite reads it, however it is damaged', () => {
    const roll = dice(7);
    const inUse = atFrame(ends.at(-1)!);
    expect(read(log)).toEqual({ frames: ends.at(-1), endByte: inUse });
    expect(taken(log)).toBe(ends.at(-1));
    for (let count = 0; count < 40; count += 1) {
      const at = count < 32 ? count : roll(inUse);
      const flippedBit = changed(at, (byte) => byte ^ (1 << roll(8)));
      // SQLite refuses a version that it does not know, where others make it look away.
      if (at < 4 || at > 7) expect(read(flippedBit)!.frames, `byte ${at}`).toBe(taken(flippedBit));
      const cut = log.subarray(0, 1 + roll(inUse));
      expect(read(cut)!.frames, `cut to ${cut.length}`).toBe(taken(cut));
    }
  });

  it('in either order of bytes', () => {
    const other = reordered(log);
    expect(other.equals(log)).toBe(false);
    expect(taken(other)).toBe(ends.at(-1));
    expect(read(other)).toEqual(read(log));
  });

  it('as none when it is missing or empty, and as torn when its header is', () => {
    expect(readWal(join(folder, 'nowhere-wal'), 4_096)).toBeUndefined();
    expect(read(Buffer.alloc(0))).toBeUndefined();
    for (const bytes of [log.subarray(0, 31), Buffer.alloc(5_000)])
      expect(read(bytes)).toMatchObject({ frames: 0, flaw: { byte: 0, damage: false } });
  });
});

describe('what is behind the last good commit', () => {
  it('is damage when another transaction follows, wherever the first one was hit', () => {
    const from = ends[4]!;
    const first = atFrame(from);
    for (const at of [first, first + 4, first + 8, first + 16, first + 24, first + 3_000]) {
      const report = read(changed(at, (byte) => byte + 1))!;
      expect(report.flaw, `byte ${at}`).toMatchObject({ byte: first, damage: true });
      expect(report).toMatchObject({ frames: from, endByte: first });
    }
  });

  it('is damage when the header of a log in use was hit', () => {
    for (const at of [0, 3, 5, 10, 12, 16, 20, 24, 28]) {
      const flaw = { byte: 0, why: 'the header of the log is damaged', damage: true };
      expect(read(changed(at, (byte) => byte ^ 2)), `byte ${at}`).toEqual({ frames: 0, endByte: 0, flaw });
    }
  });

  it('may be what a crash left, when nothing follows', () => {
    const [before, end] = [ends.at(-2)!, ends.at(-1)!];
    expect(end - before).toBeGreaterThan(1);
    for (const bytes of [
      changed(atFrame(before) + 100, (byte) => byte + 1),
      changed(atFrame(end) - 1, (byte) => byte + 1),
      log.subarray(0, atFrame(end) - 1),
      log.subarray(0, atFrame(before) + 30),
    ]) {
      expect(read(bytes)).toMatchObject({ frames: before, flaw: { damage: false } });
    }
    expect(read(log.subarray(0, atFrame(before)))).toEqual({ frames: before, endByte: atFrame(before) });
  });

  it('is nothing when it is left from the log before', () => {
    expect(log.length).toBeGreaterThan(atFrame(ends.at(-1)!) + 20 * FRAME);
    expect(read(log)!.flaw).toBeUndefined();
  });
});

/** The same log with checksums over words in the other order of bytes, as the file format describes them. */
function reordered(original: Buffer): Buffer {
  const bytes = Buffer.from(original);
  const bigEndian = original.readUInt32BE(0) === 0x377f0682;
  bytes.writeUInt32BE(bigEndian ? 0x377f0683 : 0x377f0682, 0);
  const word = (at: number): number => (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  const sums: [number, number] = [0, 0];
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      sums[0] = (sums[0] + word(at) + sums[1]) >>> 0;
      sums[1] = (sums[1] + word(at + 4) + sums[0]) >>> 0;
    }
  };
  const write = (at: number): void => {
    bytes.writeUInt32BE(sums[0], at);
    bytes.writeUInt32BE(sums[1], at + 4);
  };
  add(0, 24);
  write(24);
  for (let index = 0; index < ends.at(-1)!; index += 1) {
    const at = atFrame(index);
    add(at, at + 8);
    add(at + 24, at + FRAME);
    write(at + 16);
  }
  return bytes;
}
