/**
 * A data directory is checked as it lies there: row by row, with its index and its pages, and it stays as it is.
 */
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Entry, JournalProblem } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { chainHash } from '../../src/journal/chain.ts';
import { encode } from '../../src/journal/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { openStill } from '../../src/journal/sqlite-still.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import type { DirectoryReport } from '../../src/journal/sqlite-verify.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { eventfulEntries } from '../support/eventful-run.ts';
import { filesInto, record } from './damaged-journal.ts';
import { JOURNAL_PROCESS, startProcess } from './started.ts';

let folder: string;
let original: string;
let dataDir: string;
let file: string;
let entries: readonly Entry[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-checked-'));
  original = join(folder, 'original');
  entries = await eventfulEntries();
  const journal = createSqliteJournal({ dataDir: original });
  await journal.open();
  await commit(journal, entries);
  await journal.close();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(() => {
  dataDir = mkdtempSync(join(folder, 'data-'));
  file = join(dataDir, 'journal.db');
  cpSync(original, dataDir, { recursive: true });
});

/** Names, sizes, times and contents of all files. */
function everythingIn(dir: string): unknown {
  return readdirSync(dir).map((name) => {
    const { size, mtimeMs, mode } = statSync(join(dir, name));
    return [
      name,
      mode,
      size,
      mtimeMs,
      createHash('sha256')
        .update(readFileSync(join(dir, name)))
        .digest('hex'),
    ];
  });
}

function verify(): DirectoryReport {
  const before = everythingIn(dataDir);
  const report = verifyDirectory(dataDir, { idsMax: 1_000 });
  expect(everythingIn(dataDir)).toEqual(before);
  return report;
}

function damage(...statements: readonly string[]): void {
  const database = new Database(file);
  database.pragma('foreign_keys = OFF');
  for (const statement of statements) database.exec(statement);
  database.close();
}

/** Where something was found, in order. */
function found(): readonly number[] {
  const { ok, problems } = verify();
  expect(ok).toBe(problems.length === 0);
  return problems.map(({ offset }) => offset);
}

function texts(problems: readonly JournalProblem[]): readonly string[] {
  return problems.map(({ problem }) => problem);
}

/** Offset of the next entry in the same lane. */
function behind(offset: number): number {
  const { lane, laneSeq } = entries[offset - 1]!;
  return entries.find((entry) => entry.lane === lane && entry.laneSeq === laneSeq + 1)!.offset;
}

const VICTIM = 6;

describe('a data directory', () => {
  it('is clean as a server left it, and stays as it is', () => {
    const report = verify();
    expect(report).toMatchObject({ ok: true, entries: entries.length, lastOffset: entries.length, boots: 3, lanes: 3 });
    expect(report.journal).toBe(file);
  });

  it.each([
    ['is missing', () => rmSync(dataDir, { recursive: true })],
    ['is empty', () => rmSync(file)],
  ])('that %s holds no journal', (_what, empty) => {
    empty();
    expect(() => verifyDirectory(dataDir, { idsMax: 1 })).toThrow(
      new JournalRefused(`${dataDir} holds no journal of troupe: name another directory with --data-dir`),
    );
  });

  it('of another program, or of a newer troupe, is refused', () => {
    damage('PRAGMA user_version = 99');
    expect(() => verify()).toThrow('was written by a newer troupe');
    damage('PRAGMA application_id = 7');
    expect(() => verify()).toThrow('is the database of another program');
  });
});

describe('damage of a single row is found at its offset', () => {
  it.each([
    ['edited meta', `UPDATE entries SET meta = replace(meta, '"principal":"local"', '"principal":"l0cal"')`],
    ['edited content', `UPDATE entries SET content = replace(content, '"', ' "')`],
    ['meta that is no JSON', `UPDATE entries SET meta = '{'`],
    ['another time', 'UPDATE entries SET at = at + 1'],
    ['another kind', `UPDATE entries SET kind = 'turn.released'`],
    ['a newer form', 'UPDATE entries SET version = 2'],
  ])('%s', (_what, statement) => {
    damage(`${statement} WHERE "offset" = ${VICTIM}`);
    expect(found()[0]).toBe(VICTIM);
  });

  it('an edited hash, which the next one in the lane does not follow either', () => {
    damage(`UPDATE entries SET hash = zeroblob(32) WHERE "offset" = ${VICTIM}`);
    expect(found()).toEqual([VICTIM, behind(VICTIM)]);
  });

  it('a removed row, in the index too', () => {
    damage(`DELETE FROM places WHERE "offset" = ${VICTIM}`, `DELETE FROM entries WHERE "offset" = ${VICTIM}`);
    const { problems } = verify();
    expect(problems[0]).toEqual({ offset: VICTIM, problem: `offset ${VICTIM} is missing` });
    expect(problems).toContainEqual(
      expect.objectContaining({ offset: behind(VICTIM), problem: expect.stringMatching(/^follows laneSeq/) as string }),
    );
  });

  it('two swapped rows', () => {
    const swap = (from: number, to: number): string => `UPDATE entries SET "offset" = ${to} WHERE "offset" = ${from}`;
    damage(swap(VICTIM, -1), swap(VICTIM + 1, VICTIM), swap(-1, VICTIM + 1));
    expect(found()).toEqual(expect.arrayContaining([VICTIM, VICTIM + 1]));
  });

  it('a copied row at the end', () => {
    const { lane } = entries[VICTIM - 1]!;
    const laneSeq = entries.filter((entry) => entry.lane === lane).length + 1;
    const end = entries.length + 1;
    damage(
      `INSERT INTO entries SELECT ${end}, lane_id, ${laneSeq}, at, version, kind, meta, content, hash, fingerprint, digest FROM entries WHERE "offset" = ${VICTIM}`,
    );
    const { problems } = verify();
    expect(new Set(problems.map(({ offset }) => offset))).toEqual(new Set([end]));
    expect(problems[0]).toMatchObject({ lane, laneSeq });
  });

  it('a row of another lane', () => {
    damage(`UPDATE entries SET lane_id = lane_id % 3 + 1 WHERE "offset" = ${VICTIM}`);
    expect(found()[0]).toBe(VICTIM);
  });

  it('a lane that lost its name', () => {
    damage(`UPDATE entries SET lane_id = 77 WHERE "offset" = ${VICTIM}`);
    expect(verify().problems[0]).toMatchObject({ offset: VICTIM, lane: 'lane 77, which is not listed' });
  });
});

describe('the index by lane', () => {
  it('may be behind', () => {
    damage('DELETE FROM places');
    expect(found()).toEqual([]);
  });

  it('must not name another lane, or leave an entry out', () => {
    damage('DELETE FROM places', 'INSERT INTO places SELECT lane_id, "offset" FROM entries');
    expect(found()).toEqual([]);
    damage(`UPDATE places SET lane_id = 77 WHERE "offset" = ${VICTIM}`, `DELETE FROM places WHERE "offset" = 3`);
    const { problems } = verify();
    expect(texts(problems)).toEqual([
      'the index by lane names a lane that it is not in',
      'the index by lane leaves it out',
      'the index by lane leaves it out',
    ]);
    expect(problems.map(({ offset }) => offset)).toEqual([VICTIM, 3, VICTIM]);
  });
});

describe('what is known beside the journal', () => {
  const LAST = (): number => entries.length;

  it('tells of a tail that is missing whole, and of one that nobody wrote', () => {
    const cut = LAST() - 4;
    damage(`DELETE FROM places WHERE "offset" > ${cut}`, `DELETE FROM entries WHERE "offset" > ${cut}`);
    const { problems, entries: read } = verify();
    expect(read).toBe(cut);
    expect(problems).toEqual([
      {
        offset: cut + 1,
        problem: `offset ${cut + 1} is missing, journal.head knows entries up to offset ${LAST()}`,
      },
    ]);
    rmSync(join(dataDir, 'journal.head'));
    expect(found()).toEqual([]);
  });

  it('tells of an entry that was changed together with its hash', () => {
    const last = entries.findLast((entry) => entry.lane === 'server')!;
    const before = entries.findLast((entry) => entry.lane === 'server' && entry.offset < last.offset)!;
    const forged = { ...last, at: last.at + 1 };
    const database = new Database(file);
    const previous = database
      .prepare<[number], string>('SELECT lower(hex(hash)) FROM entries WHERE "offset" = ?')
      .pluck()
      .get(before.offset)!;
    database.close();
    const hash = chainHash(previous, encode(forged));
    damage(`UPDATE entries SET at = ${forged.at}, hash = unhex('${hash}') WHERE "offset" = ${last.offset}`);
    const { problems } = verify();
    expect(problems).toHaveLength(1);
    expect(problems[0]?.problem).toMatch(/journal\.head knows/);
  });

  it('is told with the byte of the log that is damaged, after a kill and not beside it', async () => {
    const { files } = await record(120, 'killed');
    rmSync(dataDir, { recursive: true });
    filesInto(dataDir, files);
    // Its entries make no sense, which is not what is asked for here.
    const losses = (problems: readonly JournalProblem[]): readonly JournalProblem[] =>
      problems.filter(({ problem }) => / knows | log /.test(problem));
    expect(losses(verify().problems)).toEqual([]);
    const log = join(dataDir, 'journal.db-wal');
    const bytes = readFileSync(log);
    bytes[32 + 4_120 * 3 + 600]! ^= 8;
    writeFileSync(log, bytes);
    const { problems, lastOffset } = verify();
    expect(losses(problems)).toEqual([
      {
        offset: lastOffset + 1,
        problem: expect.stringMatching(
          `^journal.db-wal offset ${lastOffset + 1} is missing, journal.mark knows entries up to offset 120; byte ${32 + 4_120 * 3}: `,
        ) as string,
      },
    ]);
  });
});

describe('a damaged file', () => {
  it('has a table of another form', () => {
    damage('ALTER TABLE places RENAME COLUMN lane_id TO line_id');
    const { ok, problems } = verify();
    expect(ok).toBe(false);
    expect(texts(problems)[0]).toBe('there is no CREATE TABLE places as it should be');
  });

  it('is no database any more', () => {
    writeFileSync(file, 'not a database, but as long as a page of one'.repeat(200));
    const { ok, problems } = verify();
    expect(ok).toBe(false);
    expect(texts(problems)[0]).toMatch(/^nothing can be read from here on: file is not a database/);
  });

  it('is checked up to the page that is overwritten, and said to be damaged', async () => {
    const longer = join(folder, 'longer');
    const journal = createSqliteJournal({ dataDir: longer });
    await journal.open();
    const source = new EntrySource();
    const stop = { kind: 'server.stopped', boot: 1, content: {} } as const;
    await commit(
      journal,
      Array.from({ length: 2_000 }, () => source.next('server', stop)),
    );
    await journal.close();
    for (const name of ['journal.db', 'journal.head']) copyFileSync(join(longer, name), join(dataDir, name));
    const bytes = readFileSync(file);
    bytes.fill(0xff, Math.floor(bytes.length / 2 / 4096) * 4096, Math.floor(bytes.length / 2 / 4096) * 4096 + 4096);
    writeFileSync(file, bytes);
    const { ok, problems, entries: read } = verify();
    expect(ok).toBe(false);
    expect(problems[0]).toMatchObject({ offset: 0 });
    const lost = problems.filter(({ problem }) => problem.startsWith("can't be read")).map(({ offset }) => offset);
    expect(lost.length).toBeGreaterThan(0);
    expect(read).toBe(2_000 - lost.length);
    // The first one behind them does not know what it follows; all others do.
    const [first, last] = [lost[0] ?? 0, (lost.at(-1) ?? 0) + 1];
    const others = problems.slice(1).map(({ offset }) => offset);
    expect(others.every((offset) => offset >= first && offset <= last)).toBe(true);
  });

  it('has a flipped bit in a row found', () => {
    const bytes = readFileSync(file);
    const text = '"commandId":"name"';
    // SQLite leaves what it moved where it was: the byte that counts is one of them.
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) bytes[at + text.length - 2]! ^= 1;
    writeFileSync(file, bytes);
    const { offset } = entries.find((entry) => 'commandId' in entry && entry.commandId === 'name')!;
    expect(found()[0]).toBe(offset);
  });
});

describe('beside a process that writes all the time', { timeout: 60_000 }, () => {
  it('reads the file itself, whose chains fit up to where it read', async () => {
    const busy = join(dataDir, 'busy');
    const { child, ended, said } = startProcess(process.execPath, [JOURNAL_PROCESS, busy, 'append']);
    try {
      await said('committed 170');
      const { problems, entries: read } = verifyDirectory(busy, { idsMax: 1_000_000 });
      expect(read).toBeGreaterThanOrEqual(170);
      expect(texts(problems).filter((text) => /hash|missing|laneSeq|read|index|know/.test(text))).toEqual([]);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });

  it('takes a copy as soon as nothing is written, with what only the log holds', async () => {
    const killed = join(dataDir, 'killed');
    const { child, ended, said } = startProcess(process.execPath, [JOURNAL_PROCESS, killed, 'append']);
    await said('committed 170');
    child.kill('SIGKILL');
    const lines = await ended;
    const committed = Math.max(
      ...lines.filter((line) => line.startsWith('committed')).map((line) => Number(line.slice(10))),
    );
    expect(statSync(join(killed, 'journal.db-wal')).size).toBeGreaterThan(0);
    const before = everythingIn(killed);
    const still = openStill(join(killed, 'journal.db'));
    expect(still.inPlace).toBe(false);
    still.close();
    expect(verifyDirectory(killed, { idsMax: 1_000_000 }).entries).toBeGreaterThanOrEqual(committed);
    rmSync(join(killed, 'journal.db-shm'));
    expect(verifyDirectory(killed, { idsMax: 1_000_000 }).entries).toBeGreaterThanOrEqual(committed);
    expect(everythingIn(killed)).toEqual((before as unknown[][]).filter(([name]) => name !== 'journal.db-shm'));
  });

  it('leaves no copy behind', () => {
    const copies = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('troupe-verify-'));
    const before = copies();
    verify();
    expect(copies().filter((name) => !before.includes(name))).toEqual([]);
  });
});
