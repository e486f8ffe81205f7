/**
 * Damage is found before it costs something: whatever happens to the files of a journal, either the start is refused with one
 * line for people, or every entry that was acknowledged is there byte for byte and the journal goes on behind it.
 */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { chainHash, genesis } from '../../src/journal/chain.ts';
import { encode, encodeContent } from '../../src/journal/entry.ts';
import { readWal } from '../../src/journal/wal.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { entriesOf } from '../../src/testing/journal-under-test.ts';
import { dice, filesInto, filesIn, flipped, record, replaced, startOn } from './damaged-journal.ts';
import type { Files, Recorded } from './damaged-journal.ts';

const JOURNAL = 'journal.db';
const LOG = 'journal.db-wal';
const HEAD = 'journal.head';
const MARK = 'journal.mark';
const ENTRIES = 240;

let stopped: Recorded;
let killed: Recorded;

beforeAll(async () => {
  stopped = await record(ENTRIES, 'stopped');
  killed = await record(ENTRIES, 'killed');
}, 60_000);

/** `file is damaged (how)`, of a start that is refused with the remedy. */
function refusal(files: Files, { entries } = stopped): string {
  const line = startOn(files, entries);
  expect(line).toMatch(/^DIR\/journal\.db(-wal)? is damaged \([^\n]+\): restore it from a backup, or [^\n]+$/);
  return line.slice('DIR/'.length, line.indexOf(': restore'));
}

describe('a start on files that were damaged', () => {
  it('is whole where nothing is wrong', () => {
    expect([...stopped.files.keys()].sort()).toEqual([JOURNAL, HEAD]);
    expect([...killed.files.keys()].sort()).toEqual([JOURNAL, 'journal.db-shm', LOG, MARK]);
    for (const { files, entries } of [stopped, killed]) expect(startOn(files, entries)).toBe('whole');
  });

  const FLIPS = 70;
  const CUTS = 30;

  it.each([
    ['stopped', JOURNAL],
    ['stopped', HEAD],
    ['killed', JOURNAL],
    ['killed', LOG],
    ['killed', 'journal.db-shm'],
    ['killed', MARK],
  ])(
    'of a %s server loses nothing silently, whichever bit of %s flips and wherever it is cut',
    (end, name) => {
      const { files, entries } = end === 'stopped' ? stopped : killed;
      const bytes = files.get(name)!;
      const small = bytes.length < 1_000 || name.endsWith('shm');
      const roll = dice(20_261_121);
      const outcomes = new Set<string>();
      const outcomeOf = (what: string, damaged: Files): void => {
        const outcome = startOn(damaged, entries);
        outcomes.add(outcome);
        if (outcome !== 'whole') expect(outcome, what).toMatch(/^DIR\/journal\.\S+ (is|was|cannot be) [^\n]+: [^\n]+$/);
      };
      for (let count = small ? 10 : FLIPS; count > 0; count -= 1) {
        const bit = roll(bytes.length * 8);
        outcomeOf(`bit ${bit}`, flipped(files, name, bit));
      }
      for (let count = small ? 5 : CUTS; count > 0; count -= 1) {
        const length = roll(bytes.length);
        outcomeOf(`cut to ${length}`, replaced(files, name, bytes.subarray(0, length)));
      }
      // What is beside the journal is no reason to refuse it.
      if (small) expect(outcomes).toEqual(new Set(['whole']));
      else expect(outcomes.size).toBeGreaterThan(5);
    },
    60_000,
  );
});

describe('the log', () => {
  const frames = (files: Files): number => (files.get(LOG)!.length - 32) / 4_120;

  it('one flipped bit in the WAL is reported with its offset, the byte and the first entry that would be lost', () => {
    const bytes = Buffer.from(killed.files.get(LOG)!);
    const at = 32 + 4_120 * 3;
    bytes.writeUInt8(bytes.readUInt8(at + 500) ^ 1, at + 500);
    const withoutMark = replaced(replaced(killed.files, LOG, bytes), MARK, undefined);
    expect(refusal(withoutMark, killed)).toMatch(
      new RegExp(
        `^${LOG} is damaged \\(byte ${at}: a frame of the log does not fit its checksum; offset \\d+ would be lost`,
      ),
    );
  });

  it('is gone on with when it is cut at that byte and nothing else knows its end, as docs/DURABILITY.md tells', () => {
    const at = 32 + 4_120 * 40;
    const bytes = Buffer.from(killed.files.get(LOG)!);
    bytes.writeUInt8(bytes.readUInt8(at + 900) ^ 16, at + 900);
    const line = refusal(replaced(killed.files, LOG, bytes), killed);
    expect(line).toMatch(new RegExp(`^${LOG} is damaged .offset (\\d+) is missing, .* byte ${at}: `));
    const left = killed.entries.slice(0, Number(/offset (\d+) is missing/.exec(line)?.[1]) - 1);
    expect(left.length).toBeGreaterThan(ENTRIES / 2);
    const cut = replaced(replaced(killed.files, LOG, bytes.subarray(0, at)), MARK, undefined);
    expect(startOn(cut, left)).toBe('whole');
  });

  it('is refused when its end is missing that was acknowledged, as the mark knows', () => {
    const short = replaced(killed.files, LOG, killed.files.get(LOG)!.subarray(0, 32 + 4_120 * 12));
    expect(refusal(short, killed)).toMatch(
      new RegExp(`^${JOURNAL} is damaged .offset \\d+ is missing, ${MARK} knows entries up to offset ${ENTRIES}`),
    );
  });

  it('is mended when the machine tore a transaction that nobody was told of', async () => {
    const torn = replaced(killed.files, LOG, killed.files.get(LOG)!.subarray(0, 32 + 4_120 * 12 + 77));
    // After a loss of power the mark is as old as the disk last had it.
    const unmarked = replaced(torn, MARK, undefined);
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-torn-'));
    try {
      filesInto(dataDir, unmarked);
      const journal = createSqliteJournal({ dataDir });
      expect(readWal(join(dataDir, LOG), 4_096)!.flaw).toBeDefined();
      const { offset } = await journal.open();
      // Behind shorter transactions the rest would look like damage one day.
      expect(readWal(join(dataDir, LOG), 4_096)).toBeUndefined();
      expect(offset).toBeGreaterThan(ENTRIES / 2);
      expect(await entriesOf(journal)).toEqual(killed.entries.slice(0, offset));
      await journal.close();
      expect(startOn(filesIn(dataDir), killed.entries.slice(0, offset))).toBe('whole');
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it.each([
    ['deleted', undefined],
    ['emptied', Buffer.alloc(0)],
    ['overwritten', Buffer.alloc(50_000, 0xa5)],
  ])('is missed when it was %s', (_what, bytes) => {
    expect(refusal(replaced(killed.files, LOG, bytes), killed)).toMatch(
      new RegExp(`offset \\d+ is missing, ${MARK} knows entries up to offset ${ENTRIES}`),
    );
  });

  it('of another journal is refused', async () => {
    const other = await record(60, 'killed');
    const foreign = replaced(killed.files, LOG, other.files.get(LOG));
    expect(refusal(foreign, killed)).toContain(`${MARK} knows entries up to offset ${ENTRIES}`);
  });

  it('may have an index of garbage, which is made anew', () => {
    for (const bytes of [undefined, Buffer.alloc(0), Buffer.alloc(32_768, 0xa5)])
      expect(startOn(replaced(killed.files, 'journal.db-shm', bytes), killed.entries)).toBe('whole');
  });

  it('ends where its frames end, with older ones behind', () => {
    expect(frames(killed.files)).toBeGreaterThan(20);
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-log-'));
    filesInto(dataDir, killed.files);
    const report = readWal(join(dataDir, LOG), 4_096);
    expect(report).toEqual({ frames: (report!.endByte - 32) / 4_120, endByte: report!.endByte });
    expect(report!.frames).toBeLessThan(frames(killed.files));
    rmSync(dataDir, { recursive: true, force: true });
  });
});

/** The files of the stopped journal after `sql`. */
function altered(sql: string, from = stopped.files): Files {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-altered-'));
  try {
    filesInto(dir, from);
    const database = new Database(join(dir, JOURNAL));
    database.exec(sql);
    database.close();
    return filesIn(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What makes of the newest entry of a lane another one that fits its chain. */
function rechained(lane: string, name: string): string {
  const [before, last] = stopped.entries.filter((entry) => entry.lane === lane).slice(-2) as [Entry, Entry];
  const hashes = chained(stopped.entries.filter((entry) => entry.lane === lane));
  const content = encodeContent(last).replace('the name', name);
  const hash = chainHash(hashes.get(before.offset) ?? '', { ...encode(last), content });
  return `UPDATE entries SET content = '${content}', hash = unhex('${hash}') WHERE "offset" = ${last.offset}`;
}

function chained(entries: readonly Entry[]): Map<number, string> {
  const hashes = new Map<number, string>();
  let hash = genesis(entries[0]?.lane ?? '');
  for (const entry of entries) {
    hash = chainHash(hash, encode(entry));
    hashes.set(entry.offset, hash);
  }
  return hashes;
}

describe('the file', () => {
  it.each([
    ['a row that was removed', 'DELETE FROM entries WHERE "offset" = 100', 'offset 100 is missing'],
    ['the first row', 'DELETE FROM entries WHERE "offset" = 1', 'offset 1 is missing'],
    [
      'the newest rows',
      'DELETE FROM entries WHERE "offset" > 200',
      `offset 201 is missing, ${HEAD} knows entries up to offset ${ENTRIES}`,
    ],
    ['all rows', 'DELETE FROM entries', `offset 1 is missing, ${HEAD} knows entries up to offset ${ENTRIES}`],
    [
      'rows that were swapped',
      `UPDATE entries SET "offset" = -1 WHERE "offset" = 50; UPDATE entries SET "offset" = 50 WHERE "offset" = 63;
       UPDATE entries SET "offset" = 63 WHERE "offset" = -1`,
      'offset 50 has laneSeq 5 behind 3 in session:s',
    ],
    [
      'a text that was changed',
      `UPDATE entries SET content = replace(content, 'the name', 'the game') WHERE "offset" = 77`,
      'offset 77 has a hash that does not follow from what is stored',
    ],
    [
      'an outcome that was changed',
      `UPDATE entries SET meta = replace(meta, 'true', 'null') WHERE "offset" = 78`,
      'offset 78 has a hash',
    ],
    ['a time that was changed', 'UPDATE entries SET at = at + 1 WHERE "offset" = 79', 'offset 79 has a hash'],
    ['a lane that was renamed', `UPDATE lanes SET name = 'session:x' WHERE id = 3`, 'offset 3 has a hash'],
    [
      'an entry that moved to another lane',
      'UPDATE entries SET lane_id = 2 WHERE "offset" = 14',
      'offset 14 has a hash',
    ],
    [
      'an entry of a later version',
      'UPDATE entries SET version = 2 WHERE "offset" = 5',
      'offset 5 was written by a newer troupe',
    ],
    [
      'an entry of a later kind',
      `UPDATE entries SET kind = 'session.dreamt' WHERE "offset" = 6`,
      'offset 6 was written by a newer',
    ],
    ['a table that is missing', 'DROP TABLE places', 'there is no CREATE TABLE places'],
    ['a table of another form', 'ALTER TABLE entries ADD COLUMN note TEXT', 'there is no CREATE TABLE entries'],
  ])('is refused for %s, by its offset', (_what, sql, text) => {
    expect(refusal(altered(sql)).slice(`${JOURNAL} is damaged (`.length)).toMatch(new RegExp(`^${text}`));
  });

  it('is refused when a chain was made to fit again, as the head file knows', () => {
    const [offset, hash] = [ENTRIES, '00'.repeat(32)];
    const files = altered(`UPDATE entries SET hash = unhex('${hash}') WHERE "offset" = ${offset}`);
    expect(refusal(files)).toBe(`${JOURNAL} is damaged (offset ${offset} is not the entry that ${HEAD} knows)`);
  });

  it('is refused when it is an older one, with the first offset that is missing', async () => {
    const older = (await record(120, 'stopped')).files.get(JOURNAL)!;
    const says = (name: string): string =>
      `${JOURNAL} is damaged (offset 121 is missing, ${name} knows entries up to offset ${ENTRIES})`;
    expect(refusal(replaced(stopped.files, JOURNAL, older))).toBe(says(HEAD));
    const afterAKill = replaced(replaced(killed.files, LOG, undefined), JOURNAL, older);
    expect(refusal(afterAKill, killed)).toBe(says(MARK));
  });

  it('is refused when a bit flips in the name of a lane, or in the index of the names', () => {
    const bytes = stopped.files.get(JOURNAL)!;
    const pages = new Set<number>();
    for (let at = bytes.indexOf('session:s7'); at >= 0; at = bytes.indexOf('session:s7', at + 1)) {
      pages.add(Math.floor(at / 4_096));
      expect(refusal(flipped(stopped.files, JOURNAL, (at + 9) * 8))).toMatch(/index|hash/);
    }
    expect(pages.size).toBe(2);
  });

  it('is refused when an entry and its hash were changed together, as the head file knows of every lane', () => {
    const files = altered(rechained('session:s2', 'forged'));
    expect(refusal(files)).toMatch(
      new RegExp(
        `^${JOURNAL} is damaged .offset ${ENTRIES} ends a journal in which lane \\d+ is not as ${HEAD} knows it`,
      ),
    );
    expect(startOn(replaced(files, HEAD, undefined), stopped.entries)).toBe('lost: other entries');
  });

  it('may have an index by lane that is wrong, which is made anew', () => {
    const behind = `INSERT INTO places SELECT lane_id, "offset" FROM entries WHERE "offset" <= 200;`;
    expect(startOn(altered(behind), stopped.entries)).toBe('whole');
    for (const sql of [
      'DELETE FROM places WHERE "offset" = 150',
      'UPDATE places SET lane_id = 2 WHERE "offset" = 14',
      'UPDATE places SET "offset" = 201 WHERE "offset" = 15',
    ]) {
      expect(startOn(altered(behind + sql), stopped.entries), sql).toBe('whole');
    }
  });

  it('needs no head file, and none that reads', () => {
    for (const bytes of [undefined, Buffer.alloc(0), Buffer.from('garbage'), Buffer.from('{"form":2,"offset":9999}')]) {
      expect(startOn(replaced(stopped.files, HEAD, bytes), stopped.entries)).toBe('whole');
      expect(startOn(replaced(killed.files, MARK, bytes), killed.entries)).toBe('whole');
    }
  });
});

describe('a journal on damaged files', () => {
  it('is refused again and again: what knows of the damage is not written over', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-again-'));
    const journal = createSqliteJournal({ dataDir });
    try {
      filesInto(dataDir, altered(rechained('session:s2', 'forged')));
      for (let tries = 0; tries < 3; tries += 1) {
        await journal.open();
        await expect(entriesOf(journal)).rejects.toThrow(`is not as ${HEAD} knows it`);
        await journal.close();
        await journal.open();
        await journal.close();
      }
      expect(filesIn(dataDir).get(HEAD)).toEqual(stopped.files.get(HEAD));
    } finally {
      await journal.close();
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 60_000);

  it('rejects open, or the reading of a boot, with a refusal and no stack', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-refused-'));
    const journal = createSqliteJournal({ dataDir });
    const attempt = async (files: Files): Promise<unknown> => {
      rmSync(dataDir, { recursive: true });
      filesInto(dataDir, files);
      try {
        await journal.open();
        await entriesOf(journal);
        return undefined;
      } catch (error) {
        return error;
      } finally {
        await journal.close();
      }
    };
    try {
      const texts = [];
      for (const sql of ['DELETE FROM entries WHERE "offset" > 9', `UPDATE entries SET at = 1 WHERE "offset" = 9`]) {
        const error = await attempt(altered(sql));
        expect(error).toBeInstanceOf(JournalRefused);
        texts.push((error as Error).message);
      }
      expect(texts[0]).toContain(`${join(dataDir, JOURNAL)} is damaged (offset 10 is missing, ${HEAD} knows`);
      expect(texts[1]).toContain(`${join(dataDir, JOURNAL)} is damaged (offset 9 has a hash`);
      const gone = replaced(stopped.files, JOURNAL, undefined);
      expect(String(await attempt(gone))).toContain(`${join(dataDir, JOURNAL)} is damaged (it is missing, `);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 60_000);
});
