/**
 * The look at a journal before anything may write to it. SQLite mends a log when it opens it for writing, in its own way: it
 * keeps what comes before the first bad frame and throws the rest away. Whoever is refused here still has everything.
 *
 * Three witnesses are heard: the checksums of the log, the head files, and the pages of the file themselves. What they cannot
 * see, a changed letter inside an entry, is found by the first reading. State: none.
 */
import { rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { JournalRefused } from '../../actors/ports.ts';
import { HEAD_FILE, MARK_FILE, readHeadFiles } from './head-files.ts';
import type { KnownEnd, KnownEnds } from './head-files.ts';
import { mustBeAJournal, mustBeInForm, pageBytesOf } from './sqlite-file.ts';
import { oneLine, refusalOf, refusals } from './sqlite-refusal.ts';
import { anchorsOf } from './sqlite-anchors.ts';
import { schemaFlaw } from './sqlite-schema.ts';
import { readWal } from './wal.ts';
import type { WalFlaw } from './wal.ts';

/** Up to here SQLite's own check of the whole file takes less than a tenth of a second. */
const QUICK_CHECK_BYTES_MAX = 64 * 1024 * 1024;
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Finds nothing wrong with the journal at `path`, or refuses it. The directory must be claimed, and no connection of this
 * process open on the file.
 *
 * @returns what is known of its end, for the first reading, and whether the log ends in something that was never committed.
 * @throws JournalRefused
 */
export function inspectJournal(path: string): KnownEnds & { readonly logIsTorn: boolean } {
  const known = readHeadFiles(dirname(path));
  const logPath = `${path}-wal`;
  try {
    mustBeAJournal(path);
    const flaw = readWal(logPath, pageBytesOf(path))?.flaw;
    reading(path, (database) => {
      mustBeInForm(path, database);
      mustBeSound(path, database);
      const loss = lossOf(database, known, flaw);
      if (loss === undefined) return;
      const { text, inLog } = loss;
      throw new JournalRefused(refusals.damaged(inLog ? logPath : path, text));
    });
    return { ...known, logIsTorn: flaw !== undefined };
  } catch (error) {
    throw refusalOf(path, error);
  }
}

export interface Loss {
  /** Offset of the first entry that is missing, or is another one. */
  readonly offset: number;
  readonly text: string;
  /** True: the log is where it was lost. */
  readonly inLog: boolean;
}

/** What was acknowledged and is not there. */
export function lossOf(database: Database.Database, known: KnownEnds, flaw: WalFlaw | undefined): Loss | undefined {
  const newest = database.prepare<[], number>('SELECT coalesce(max("offset"), 0) FROM entries').pluck().get() ?? 0;
  const next = newest + 1;
  const witnesses = [
    [MARK_FILE, known.mark],
    [HEAD_FILE, known.head],
  ] as const;
  for (const [name, end] of witnesses) {
    if (end === undefined || end.offset <= newest) continue;
    const says = `offset ${next} is missing, ${name} knows entries up to offset ${end.offset}`;
    return { offset: next, text: flaw === undefined ? says : `${says}; ${flawText(flaw)}`, inLog: flaw !== undefined };
  }
  if (flaw?.damage === true)
    return { offset: next, text: `${flawText(flaw)}; offset ${next} would be lost and all behind it`, inLog: true };
  for (const [name, end] of witnesses) {
    if (end === undefined || end.offset === 0 || hashAt(database, end) === end.hash) continue;
    if (wasDropped(database, end)) continue;
    return { offset: end.offset, text: `offset ${end.offset} is not the entry that ${name} knows`, inLog: false };
  }
  return undefined;
}

function flawText({ byte, why }: WalFlaw): string {
  return `byte ${byte}: ${why}`;
}

function hashAt(database: Database.Database, { offset }: KnownEnd): string | undefined {
  const text = 'SELECT lower(hex(hash)) FROM entries WHERE "offset" = ?';
  return database.prepare<[number], string>(text).pluck().get(offset);
}

/** Then nothing can be said of it: the chain of its lane goes on behind it. */
function wasDropped(database: Database.Database, end: KnownEnd): boolean {
  if (hashAt(database, end) !== undefined) return false;
  return anchorsOf(database).some(({ droppedOffset }) => droppedOffset >= end.offset);
}

/** Who reads changes neither file nor log, but leaves an empty log and an index where there were none. */
function reading(path: string, question: (database: Database.Database) => void): void {
  const beside = [`${path}-wal`, `${path}-shm`].filter((file) => !statSync(file, { throwIfNoEntry: false }));
  const database = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    question(database);
  } finally {
    database.close();
    for (const file of beside) rmSync(file, { force: true });
  }
}

function mustBeSound(path: string, database: Database.Database): void {
  const flaw = schemaFlaw(database);
  if (flaw !== undefined) throw new JournalRefused(refusals.damaged(path, flaw));
  const size = statSync(path).size;
  // Looks into the index of the names as well, which the other one does not.
  const checks = ['integrity_check(lanes)', ...(size <= QUICK_CHECK_BYTES_MAX ? ['quick_check(1)'] : [])];
  for (const check of checks) {
    const verdict = String(database.pragma(check, { simple: true }));
    if (verdict !== 'ok') throw new JournalRefused(refusals.damaged(path, oneLine(verdict)));
  }
}
