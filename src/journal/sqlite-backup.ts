/**
 * A copy of a journal that holds still, as one file that is a journal by itself: `journal.db` of another data directory.
 *
 * It is written under another name, synced, verified from its first entry to its last, and only then put in place whole: a
 * crash at any byte leaves what was there before, and so does a copy that is not what it should be. State: durable.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { BackupFailed, JournalRefused } from '../../actors/ports.ts';
import type { JournalBackup } from '../../actors/ports.ts';
import { readHeadFiles } from './head-files.ts';
import { journalHeader } from './sqlite-file.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { openForReading, openInPlace, openStill } from './sqlite-still.ts';
import type { StillJournal } from './sqlite-still.ts';
import { verifyDatabase } from './sqlite-verify.ts';
import { syncDirectory } from './sync-directory.ts';
import { Verification } from './verify.ts';

export interface BackupOptions {
  /** So many ids are remembered while the copy is verified. */
  readonly idsMax: number;
  /** The server itself, or a process of it, makes it: its journal is open, and nothing but SQLite may touch its file. */
  readonly live?: boolean;
  /** Told while the copy is verified. */
  readonly onProgress?: (entries: number, of: number) => void;
}

const READ_BYTES = 1024 * 1024;

/**
 * Copies the journal of `dataDir` to `file`. Appends go on meanwhile; the copy holds what was committed when it began.
 *
 * @throws JournalRefused when there is no journal, or none that can be read; BackupFailed when it can't be copied to there.
 */
export function writeBackup(dataDir: string, file: string, options: BackupOptions): JournalBackup {
  const startedAt = performance.now();
  const dir = resolve(dataDir);
  const journal = join(dir, 'journal.db');
  const target = resolve(file);
  const unborn = `${target}.new`;
  if (statSync(journal, { throwIfNoEntry: false }) === undefined) throw new JournalRefused(refusals.noJournal(dir));
  mustBeFree(target);
  // Before the journal is looked at: the copy is then further than they say, and never behind.
  const known = readHeadFiles(dir);
  const still = openSource(journal, target, options.live === true);
  try {
    vacuumInto(still, unborn, target);
    const { entries, lastOffset } = verified(unborn, journal, still, known, options);
    const { bytes, sha256 } = syncAndHash(unborn);
    renameSync(unborn, target);
    syncDirectory(dirname(target));
    return { path: target, bytes, entries, lastOffset, sha256, tookMs: Math.round(performance.now() - startedAt) };
  } catch (error) {
    throw error instanceof BackupFailed ? error : failed(target, error);
  } finally {
    still.close();
    removeUnborn(unborn);
  }
}

/** What a copy that was cut leaves behind. */
export function removeUnborn(unborn: string): void {
  for (const left of [unborn, `${unborn}-journal`, `${unborn}-wal`, `${unborn}-shm`]) rmSync(left, { force: true });
}

/** An older backup may be replaced; a journal in use, and anything that is none, may not. */
function mustBeFree(target: string): void {
  const found = statSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  const used = ['lock', 'journal.db-wal', 'journal.head'].some(
    (name) => statSync(join(dirname(target), name), { throwIfNoEntry: false }) !== undefined,
  );
  if (!found.isFile() || used || !journalHeader(target))
    throw new BackupFailed(`${target} is there and is no backup of troupe: choose another file with --out`);
}

function openSource(journal: string, target: string, live: boolean): StillJournal {
  try {
    return live ? openInPlace(journal) : openStill(journal, dirname(target));
  } catch (error) {
    const { path = '' } = error as NodeJS.ErrnoException;
    if (path.startsWith(dirname(target)) && !path.startsWith(journal)) throw failed(target, error);
    throw refusalOf(journal, error);
  }
}

/** SQLite's own copy of one moment: whoever writes meanwhile is not waited for, and does not wait. */
function vacuumInto({ database }: StillJournal, unborn: string, target: string): void {
  removeUnborn(unborn);
  try {
    // SQLite takes an empty file as it is, and its mode.
    closeSync(openSync(unborn, 'wx', 0o600));
    database.prepare('VACUUM INTO ?').run(unborn);
  } catch (error) {
    throw failed(target, error);
  }
}

function verified(
  unborn: string,
  journal: string,
  { flaw }: StillJournal,
  known: ReturnType<typeof readHeadFiles>,
  { idsMax, onProgress }: BackupOptions,
) {
  const database = openForReading(unborn);
  try {
    const verification = new Verification({ idsMax });
    verifyDatabase(unborn, { database, flaw }, known, verification, onProgress);
    const report = verification.end();
    if (report.ok) return report;
    const { offset, problem } = report.problems[0] ?? { offset: 0, problem: 'unknown' };
    const first = offset === 0 ? problem : `offset ${offset}: ${problem}`;
    throw new BackupFailed(`${journal} is damaged, and was not backed up (${first}): see troupe verify`);
  } finally {
    database.close();
  }
}

function syncAndHash(file: string): { bytes: number; sha256: string } {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
    return hashOf(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function hashOf(descriptor: number): { bytes: number; sha256: string } {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(READ_BYTES);
  let bytes = 0;
  for (let count = -1; count !== 0; bytes += count) {
    count = readSync(descriptor, chunk, 0, READ_BYTES, bytes);
    hash.update(chunk.subarray(0, count));
  }
  return { bytes, sha256: hash.digest('hex') };
}

function failed(target: string, error: unknown): BackupFailed {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const text = (() => {
    if (['ENOSPC', 'EDQUOT', 'SQLITE_FULL'].includes(code))
      return `${target} does not fit on its disk: make room there`;
    if (['EACCES', 'EPERM', 'EROFS', 'SQLITE_CANTOPEN', 'SQLITE_READONLY'].includes(code))
      return `${target} can not be written: let this user write there`;
    if (['ENOENT', 'ENOTDIR'].includes(code) && !statSync(dirname(target), { throwIfNoEntry: false })?.isDirectory())
      return `${dirname(target)} is no directory: make it first`;
    return `${target} can not be written (${message.replaceAll(/\s+/g, ' ')}): look after the disk`;
  })();
  return new BackupFailed(`${text}, or choose another place`, { cause: error });
}
