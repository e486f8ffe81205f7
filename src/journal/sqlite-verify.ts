/**
 * Checks a data directory without a server: every stored row as it is, and the index by lane. Nothing is locked and nothing
 * is changed, whether a server runs on it or not.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import type { EntryKind, JournalReport } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { readHeadFiles } from './head-files.ts';
import type { KnownEnds } from './head-files.ts';
import { KnownLedger } from './verify-ledger.ts';
import type { NumberedRecord } from './verify-ledger.ts';
import { anchorsOf } from './sqlite-anchors.ts';
import { mustBeInForm } from './sqlite-file.ts';
import { lossOf } from './sqlite-inspection.ts';
import { oneLine, refusalOf, refusals } from './sqlite-refusal.ts';
import { remainsOf } from './sqlite-remains.ts';
import { schemaFlaw, schemaVersionOf } from './sqlite-schema.ts';
import { openStill } from './sqlite-still.ts';
import type { StillJournal } from './sqlite-still.ts';
import { Verification } from './verify.ts';
import type { VerifyOptions } from './verify.ts';

export interface DirectoryVerifyOptions extends VerifyOptions {
  /** Told after each page. */
  readonly onProgress?: (entries: number, of: number) => void;
}

export interface DirectoryReport extends JournalReport {
  readonly journal: string;
}

const JOURNAL_FILE = 'journal.db';
const PAGE_ENTRIES = 1_000;
const TRIES_MAX = 3;
const FINDINGS_MAX = 100;
/** After so many rows in a row that can't be read there is nothing to be found behind them. */
const UNREADABLE_MAX = 1_000;

/** @throws JournalRefused when there is no journal of troupe, or one that is newer than this code. */
export function verifyDirectory(dataDir: string, options: DirectoryVerifyOptions): DirectoryReport {
  const dir = resolve(dataDir);
  const journal = join(dir, JOURNAL_FILE);
  for (let tries = 1; ; tries += 1) {
    const { report, moved } = verifyOnce(dir, journal, options);
    // What a server dropped meanwhile looks like damage.
    if (report.ok || !moved || tries >= TRIES_MAX) return { ...report, journal };
  }
}

function verifyOnce(
  dir: string,
  journal: string,
  options: DirectoryVerifyOptions,
): { readonly report: JournalReport; readonly moved: boolean } {
  const verification = new Verification(options);
  let moved = false;
  try {
    if (statSync(journal, { throwIfNoEntry: false }) === undefined) throw new JournalRefused(refusals.noJournal(dir));
    // Before the journal is looked at: a server that writes meanwhile is then further than they say, and never behind.
    const known = readHeadFiles(dir);
    const still = openStill(journal);
    try {
      moved = verifyDatabase(journal, still, known, verification, options.onProgress);
    } finally {
      still.close();
    }
  } catch (error) {
    if (!isDamage(error)) throw refusalOf(journal, error);
    verification.report({ offset: 1 }, `nothing can be read from here on: ${oneLine(error.message)}`);
  }
  return { report: verification.end(), moved };
}

/**
 * Checks every row of a journal that holds still, and that it holds what is `known` of its end.
 *
 * @returns true when a server dropped entries meanwhile.
 * @throws JournalRefused when it is no journal of troupe, or newer than this code.
 */
export function verifyDatabase(
  path: string,
  { database, flaw: logFlaw }: Pick<StillJournal, 'database' | 'flaw'>,
  known: KnownEnds,
  verification: Verification,
  onProgress?: DirectoryVerifyOptions['onProgress'],
): boolean {
  try {
    mustBeInForm(path, database);
    const flaw = schemaFlaw(database);
    if (flaw !== undefined) verification.report({ offset: 0 }, flaw);
    const anchors = anchorsOf(database);
    verification.begin(anchors);
    takeRemains(database, verification);
    const ledger = new KnownLedger(known, verification, anchors);
    readAll(database, verification, ledger, onProgress);
    const loss = lossOf(database, known, logFlaw);
    if (loss !== undefined)
      verification.report({ offset: loss.offset }, `${loss.inLog ? 'journal.db-wal ' : ''}${loss.text}`);
    else ledger.tell();
    return JSON.stringify(anchorsOf(database)) !== JSON.stringify(anchors);
  } catch (error) {
    if (!isDamage(error)) throw error;
    verification.report(
      { offset: verification.offset + 1 },
      `nothing can be read from here on: ${oneLine(error.message)}`,
    );
    return false;
  }
}

function takeRemains(database: Database, verification: Verification): void {
  const read = remainsOf(database);
  if (read === undefined) return;
  for (let after = 0; ;) {
    const page = read(after, PAGE_ENTRIES);
    const last = page.at(-1);
    if (last === undefined) return;
    for (const remain of page) verification.takeRemain(remain);
    after = last.record.offset;
  }
}

function isDamage(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(String(error.code));
}

function readAll(
  database: Database,
  verification: Verification,
  ledger: KnownLedger,
  onProgress: DirectoryVerifyOptions['onProgress'],
): void {
  for (const text of quickCheck(database)) verification.report({ offset: 0 }, text);
  const last = database.prepare<[], number>('SELECT coalesce(max("offset"), 0) FROM entries').pluck().get() ?? 0;
  const rows = new Rows(database);
  let limit = PAGE_ENTRIES;
  let unreadable = 0;
  for (let after = 0; after < last;) {
    const page = rows.page(after, limit, last);
    if (page instanceof Error && limit > 1) {
      // Smaller and smaller pages, to find the row.
      limit = Math.ceil(limit / 8);
      continue;
    }
    if (page instanceof Error) {
      verification.unreadable(after + 1, page.message);
      unreadable += 1;
      if (unreadable >= UNREADABLE_MAX) throw page;
      after += 1;
      continue;
    }
    if (page.length === 0) break;
    for (const row of page) {
      verification.take(row);
      ledger.take(row);
    }
    limit = Math.min(PAGE_ENTRIES, limit * 2);
    unreadable = 0;
    after = Math.max(after + 1, verification.offset);
    onProgress?.(verification.entries, last);
  }
  for (const { offset, text } of indexFindings(database)) verification.report({ offset }, text);
}

/** SQLite's own look at its pages. */
function quickCheck(database: Database): string[] {
  try {
    const found = database.pragma(`quick_check(${FINDINGS_MAX})`) as { quick_check: string }[];
    return found.map(({ quick_check }) => quick_check.replaceAll(/\s+/g, ' ')).filter((text) => text !== 'ok');
  } catch (error) {
    // So damaged that it can't even be listed what is.
    if (isDamage(error)) return [error.message];
    throw error;
  }
}

type Row = [number, string | null, number, number, number, number, EntryKind, string, string, string, string];

class Rows {
  readonly #select;

  constructor(database: Database) {
    // In the tables of version 1 nothing was ever blanked.
    const digest = schemaVersionOf(database) === 1 ? "''" : 'lower(hex(e.digest))';
    const columns = `e."offset", l.name, e.lane_id, e.lane_seq, e.at, e.version, e.kind, e.meta, e.content,
      lower(hex(e.hash)), ${digest}`;
    const text = `SELECT ${columns} FROM entries e LEFT JOIN lanes l ON l.id = e.lane_id
      WHERE e."offset" > ? AND e."offset" <= ? ORDER BY e."offset" LIMIT ?`;
    this.#select = database.prepare<[number, number, number], Row>(text).raw();
  }

  /** Each page is a transaction of its own: beside a server it holds nothing up. */
  page(after: number, limit: number, last: number): NumberedRecord[] | Error {
    try {
      return this.#select.all(after, last, limit).map((row) => {
        const [offset, name, laneId, laneSeq, at, version, kind, meta, content, hash, digest] = row;
        const lane = name ?? `lane ${laneId}, which is not listed`;
        const record = { version, offset, lane, laneSeq, at, kind, meta, content };
        return { record: digest === '' ? record : { ...record, digest }, hash, laneId };
      });
    } catch (error) {
      if (isDamage(error)) return error;
      throw error;
    }
  }
}

/** The index by lane may be behind, and may not be wrong. */
function indexFindings(database: Database): { offset: number; text: string }[] {
  const wrong = `SELECT p."offset" FROM places p LEFT JOIN entries e ON e."offset" = p."offset"
    WHERE e.lane_id IS NOT p.lane_id ORDER BY 1 LIMIT ${FINDINGS_MAX}`;
  const missing = `SELECT e."offset" FROM entries e WHERE e."offset" <= (SELECT max("offset") FROM places)
    AND NOT EXISTS (SELECT 1 FROM places p WHERE p.lane_id = e.lane_id AND p."offset" = e."offset")
    ORDER BY 1 LIMIT ${FINDINGS_MAX}`;
  const ask = (text: string): number[] => {
    try {
      return database.prepare<[], number>(text).pluck().all();
    } catch (error) {
      // The look at the pages has told it.
      if (isDamage(error)) return [];
      throw error;
    }
  };
  return [
    ...ask(wrong).map((offset) => ({ offset, text: 'the index by lane names a lane that it is not in' })),
    ...ask(missing).map((offset) => ({ offset, text: 'the index by lane leaves it out' })),
  ];
}
