/**
 * Journals to be damaged: the files of one that was stopped and of one that was killed, and what is left of them after a
 * start. A start here is what the journal's thread does, without the thread.
 */
import Database from 'better-sqlite3';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { SqliteEntries } from '../../src/journal/sqlite-entries.ts';
import { openJournalFile } from '../../src/journal/sqlite-file.ts';
import { inspectJournal } from '../../src/journal/sqlite-inspection.ts';
import { refusalOf } from '../../src/journal/sqlite-refusal.ts';
import { packEntries, unpack } from '../../src/journal/sqlite-wire.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { commit, entriesOf } from '../../src/testing/journal-under-test.ts';

/** By name, without the lock. */
export type Files = ReadonlyMap<string, Buffer>;

export interface Recorded {
  readonly files: Files;
  /** All of them were acknowledged. */
  readonly entries: readonly Entry[];
}

const LANES = ['server', ...Array.from({ length: 12 }, (_, index) => `session:s${index}`)];

/** A journal of `count` entries, in commits of three; the log is started anew in the middle. */
export async function record(count: number, end: 'stopped' | 'killed'): Promise<Recorded> {
  const dataDir = mkdtempSync(join(tmpdir(), 'troupe-recorded-'));
  const journal = createSqliteJournal({ dataDir });
  try {
    await journal.open();
    const source = new EntrySource();
    for (let stored = 0; stored < count; stored += 3) {
      if (stored === Math.floor(count / 6) * 3) startLogAnew(journal.location);
      const first = stored % LANES.length;
      await commit(journal, source.batch(3, ...LANES.slice(first), ...LANES.slice(0, first)));
    }
    const entries = await entriesOf(journal);
    if (end === 'stopped') await journal.close();
    return { files: filesIn(dataDir), entries };
  } finally {
    await journal.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function startLogAnew(path: string): void {
  const database = new Database(path);
  database.pragma('wal_checkpoint(RESTART)');
  database.close();
}

export function filesIn(dir: string): Files {
  const names = readdirSync(dir).filter((name) => name !== 'lock');
  return new Map(names.map((name) => [name, readFileSync(join(dir, name))]));
}

export function filesInto(dir: string, files: Files): void {
  mkdirSync(dir, { recursive: true });
  for (const [name, bytes] of files) writeFileSync(join(dir, name), bytes);
}

/** What became of a start on `files`: the refusal, `whole`, or what is wrong although it was not refused. */
export function startOn(files: Files, entries: readonly Entry[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-damaged-'));
  try {
    filesInto(dir, files);
    const { outcome, opened } = start(join(dir, 'journal.db'), entries);
    if (!opened && !sameFiles(filesIn(dir), files)) return `lost: a refusal that changed the files: ${outcome}`;
    return outcome.replaceAll(dir, 'DIR');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Who is refused before anything is opened for writing still has everything. The log's index says nothing of its own. */
function sameFiles(found: Files, before: Files): boolean {
  const others = [...before].filter(
    ([name, bytes]) => !name.endsWith('-shm') && found.get(name)?.equals(bytes) !== true,
  );
  return found.size === before.size && others.length === 0;
}

function start(path: string, expected: readonly Entry[]): { outcome: string; opened: boolean } {
  let found;
  try {
    found = inspectJournal(path);
  } catch (error) {
    return { outcome: error instanceof JournalRefused ? error.message : `raw: ${String(error)}`, opened: false };
  }
  let stored: SqliteEntries | undefined;
  try {
    stored = connect(path, openJournalFile(path, found.logIsTorn), found.head);
    return { outcome: contentOf(stored, expected), opened: true };
  } catch (error) {
    // Once it is open, the thread turns what was thrown into a refusal.
    const refused = stored !== undefined || error instanceof JournalRefused;
    return { outcome: refused ? refusalOf(path, error).message : `raw: ${String(error)}`, opened: true };
  } finally {
    stored?.abandon();
  }
}

function contentOf(stored: SqliteEntries, expected: readonly Entry[]): string {
  if (!holds(stored, undefined, expected)) return 'lost: other entries';
  for (const lane of LANES) {
    const ofLane = expected.filter((entry) => entry.lane === lane);
    if (!holds(stored, lane, ofLane)) return `lost: other entries of ${lane}`;
  }
  const { failure } = stored.commit([packEntries(new EntrySource(expected).batch(30, ...LANES))]);
  return failure === undefined ? 'whole' : `lost: ${failure.message}`;
}

function connect(path: string, database: Database.Database, head: ReturnType<typeof inspectJournal>['head']) {
  try {
    return new SqliteEntries(database, head);
  } catch (error) {
    database.close();
    throw refusalOf(path, error);
  }
}

function holds(stored: SqliteEntries, lane: string | undefined, expected: readonly Entry[]): boolean {
  const records = [];
  for (let after = 0; ; after = records.at(-1)?.offset ?? 0) {
    const page = unpack(stored.page({ after, limit: 1_000, lane }));
    if (page.length === 0) break;
    records.push(...page);
  }
  return JSON.stringify(records) === JSON.stringify(unpack(packEntries(expected)));
}

/** Numbers below `below`, always the same ones from the same seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** The files with another one in the place of `name`. */
export function replaced(files: Files, name: string, bytes: Buffer | undefined): Files {
  const others = new Map(files);
  others.delete(name);
  return bytes === undefined ? others : others.set(name, bytes);
}

export function flipped(files: Files, name: string, bit: number): Files {
  const bytes = Buffer.from(files.get(name) ?? '');
  bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return replaced(files, name, bytes);
}
