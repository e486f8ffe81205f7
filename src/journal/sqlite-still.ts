/**
 * A journal's file that holds still: for those who read it beside a server, or after one, and must change nothing.
 *
 * SQLite leaves a write-ahead log and its index beside whatever it reads, and rebuilds an index that it finds. So a copy is
 * read, made of the file and its log while neither changes. If a server writes all the time there is no such moment; then the
 * file itself is read, and all that SQLite would leave beside it is there already. State: volatile.
 */
import { closeSync, constants, copyFileSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pageBytesOf } from './sqlite-file.ts';
import { readWal } from './wal.ts';
import type { WalFlaw } from './wal.ts';

const COPY_FILE = 'journal.db';
const TRIES_MAX = 3;
/** The head of the log's index: how far the log is written, and how far it was taken over into the file. */
const INDEX_HEAD_BYTES = 136;
const BUSY_TIMEOUT_MS = 5_000;
/** Of a copy, so much is read without copying it once more. */
const MAPPED_BYTES_MAX = 2 ** 31;

export interface StillJournal {
  readonly database: Database.Database;
  /** False: it was copied while nobody wrote. */
  readonly inPlace: boolean;
  /** What is wrong with the log. Of one that is being written to nobody can tell. */
  readonly flaw: WalFlaw | undefined;
  close(): void;
}

/**
 * @param within where a copy may be made, for as long as it takes to open it.
 * @throws what SQLite or the file system find wrong with it.
 */
export function openStill(path: string, within = tmpdir()): StillJournal {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const folder = mkdtempSync(join(within, 'troupe-verify-'));
    try {
      if (!copyStill(path, join(folder, COPY_FILE))) continue;
      const copy = join(folder, COPY_FILE);
      const flaw = readWal(`${copy}-wal`, pageBytesOf(copy))?.flaw;
      const database = openForReading(copy);
      // Nobody else has it, and nobody shortens it.
      database.pragma(`mmap_size = ${MAPPED_BYTES_MAX}`);
      return { database, inPlace: false, flaw, close: () => database.close() };
    } finally {
      // What is open stays readable, and nothing is left behind however this process ends.
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return openInPlace(path);
}

/** A journal whose server writes to it. Not for the process of that server, unless nothing but SQLite opens the file there. */
export function openInPlace(path: string): StillJournal {
  const database = openForReading(path);
  return { database, inPlace: true, flaw: undefined, close: () => database.close() };
}

export function openForReading(path: string): Database.Database {
  const database = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    // The first question makes SQLite open all that it needs.
    database.pragma('schema_version');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** False when it changed meanwhile, or there is no room for a copy. */
function copyStill(path: string, copy: string): boolean {
  const before = stateOf(path);
  try {
    // Where the file system can, the copy shares the blocks of the original.
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    if (sizeOf(`${path}-wal`) > 0) copyFileSync(`${path}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The log went away with the server that closed it.
    if (!['ENOSPC', 'EDQUOT', 'EFBIG', 'ENOENT'].includes(String(code))) throw error;
    return false;
  }
  return stateOf(path) === before;
}

function stateOf(path: string): string {
  const files = [path, `${path}-wal`].map((file) => {
    const found = statSync(file, { bigint: true, throwIfNoEntry: false });
    return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeNs}`;
  });
  return [...files, indexHead(`${path}-shm`)].join('; ');
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function indexHead(file: string): string {
  if (sizeOf(file) === 0) return 'none';
  const head = Buffer.alloc(INDEX_HEAD_BYTES);
  const index = openSync(file, 'r');
  try {
    readSync(index, head, 0, INDEX_HEAD_BYTES, 0);
  } finally {
    closeSync(index);
  }
  return head.toString('hex');
}
