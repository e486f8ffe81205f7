/**
 * The data directory: whose it is, and that nobody else uses it.
 *
 *     DATA_DIR/lock         an empty SQLite file, locked exclusively for as long as a server uses the directory
 *     DATA_DIR/journal.db   the journal, with -wal and -shm beside it while it is open, and its head files (see head-files.ts)
 *
 * The lock is the kernel's: it goes with the process, also after kill -9, so there is no stale lock to be cleaned away. It
 * lies beside the journal and not in it, so that other processes can read the journal of a running server. POSIX drops a
 * lock when the process that has it closes *any* descriptor of the file: nothing but SQLite may open either file meanwhile.
 *
 * A directory that is not ours is left exactly as it was found.
 */
import { accessSync, closeSync, constants, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { JournalRefused } from '../../actors/ports.ts';
import { HEAD_FILE, MARK_FILE } from './head-files.ts';
import { mustBeAJournal } from './sqlite-file.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { syncDirectory } from './sync-directory.ts';

const JOURNAL_FILE = 'journal.db';
const LOCK_FILE = 'lock';

/** What a server that died before its journal was born leaves behind. */
const LEFT_BEHIND: ReadonlySet<string> = new Set([
  LOCK_FILE,
  ...['', '-journal', '-wal', '-shm'].map((ending) => `${JOURNAL_FILE}.new${ending}`),
]);
/** Made by file systems and not by people. */
const NOBODYS: ReadonlySet<string> = new Set(['lost+found']);

export interface DirectoryClaim {
  readonly journalPath: string;
  release(): void;
}

/**
 * Makes the directory if it is missing, and locks it.
 *
 * @throws JournalRefused when it is no directory, foreign, not writable or in use.
 */
export function claimDirectory(dataDir: string): DirectoryClaim {
  const dir = resolve(dataDir);
  try {
    makeDirectory(dir);
    const journalPath = join(dir, JOURNAL_FILE);
    const lockPath = join(dir, LOCK_FILE);
    const names = readdirSync(dir).filter((name) => !NOBODYS.has(name));
    const hasJournal = names.includes(JOURNAL_FILE);
    const hasLock = names.includes(LOCK_FILE);
    if (!hasJournal && (names.includes(HEAD_FILE) || names.includes(MARK_FILE)))
      throw new JournalRefused(refusals.damaged(journalPath, 'it is missing, and what is known of its end is there'));
    if (!hasJournal && !names.every((name) => LEFT_BEHIND.has(name)))
      throw new JournalRefused(refusals.foreignDirectory(dir));
    if (hasLock && statSync(lockPath).size > 0) throw new JournalRefused(refusals.foreignDirectory(dir));
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    // Without a lock file no server can be using the journal, and reading it here can't drop a lock of this process.
    if (hasJournal && !hasLock) mustBeAJournal(journalPath);
    if (!hasLock) closeSync(openSync(lockPath, 'a', 0o600));
    return { journalPath, release: lock(lockPath, dir) };
  } catch (error) {
    throw refusalOf(dir, error);
  }
}

/** Nothing is in it but what a start, or a restore, that was cut left behind. @throws what keeps it from being read. */
export function isUnused(dir: string): boolean {
  const names = readdirSync(dir).filter((name) => !NOBODYS.has(name));
  return names.every((name) => LEFT_BEHIND.has(name));
}

/** After the release of a claim that came to nothing. Another server may have claimed the directory since: then it stays. */
export function removeLock(dir: string): void {
  const path = join(dir, LOCK_FILE);
  let release: (() => void) | undefined;
  try {
    release = lock(path, dir);
    rmSync(path, { force: true });
  } catch {
    // It is in use, or gone: whose it is now will see to it.
  } finally {
    release?.();
  }
}

/** A connection that nobody refers to is closed by the garbage collector, and its lock would go while the thread still writes. */
const locks = new Set<Database.Database>();

function lock(lockPath: string, dir: string): () => void {
  const held = new Database(lockPath, { fileMustExist: true, timeout: 0 });
  const release = (): void => {
    locks.delete(held);
    held.close();
  };
  locks.add(held);
  try {
    // Nothing is ever written, and a rollback journal would lie around after kill -9.
    held.pragma('journal_mode = MEMORY');
    held.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    release();
    throw refusalOf(dir, error);
  }
  return release;
}

/**
 * Makes a directory and its missing parents. One that a crash of the machine takes back would take the journal with it: its
 * entry in the parent is synced as well. Node's own recursive mkdir never returns where a directory can't be made (/proc).
 */
export function makeDirectory(dir: string): void {
  const found = statSync(dir, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (found !== undefined) throw new JournalRefused(refusals.noDirectory(dir));
  makeDirectory(dirname(dir));
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    // Another server may have made it meanwhile; the lock decides which of the two goes on.
    if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
  syncDirectory(dirname(dir));
}
