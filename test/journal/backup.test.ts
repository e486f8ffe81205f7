/** A backup is a whole journal or none, whatever happens to it; a restore makes a new directory of it or leaves nothing. */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { BackupFailed, JournalRefused } from '../../actors/ports.ts';
import type { Journal } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { writeBackup } from '../../src/journal/sqlite-backup.ts';
import { restoreBackup } from '../../src/journal/sqlite-restore.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { commit, entriesOf } from '../../src/testing/journal-under-test.ts';
import { eventfulEntries } from '../support/eventful-run.ts';

const idsMax = 1_000;
const AT = Date.UTC(2026, 5, 1);

let folder: string;
let dataDir: string;
let file: string;
let journal: Journal;
let entries: readonly Entry[];

beforeAll(async () => {
  entries = await eventfulEntries();
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-backup-'));
  dataDir = join(folder, 'data');
  file = join(folder, 'backup.db');
  journal = createSqliteJournal({ dataDir });
  await journal.open();
  await commit(journal, entries);
});

afterEach(async () => {
  await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

function restore(backup: string, to: string) {
  let drawn = 0;
  return restoreBackup(backup, to, { idsMax, at: AT, epoch: () => `new-${(drawn += 1)}` });
}

async function read(dir: string): Promise<Entry[]> {
  const restored = createSqliteJournal({ dataDir: dir });
  await restored.open();
  try {
    return await entriesOf(restored);
  } finally {
    await restored.close();
  }
}

describe('a backup', () => {
  it('holds what was committed when it began, and says what it is', async () => {
    const made = writeBackup(dataDir, file, { idsMax, live: true });
    await journal.close();
    expect(made).toMatchObject({ path: file, entries: entries.length, lastOffset: entries.length });
    expect(made.bytes).toBe(readFileSync(file).length);
    expect(readdirSync(folder).sort()).toEqual(['backup.db', 'data']);
    restore(file, join(folder, 'new'));
    expect((await read(join(folder, 'new'))).slice(0, entries.length)).toEqual(entries);
  });

  it('takes the place of an older one, whole', async () => {
    writeBackup(dataDir, file, { idsMax, live: true });
    await commit(journal, [next({ kind: 'server.stopped', boot: 3, content: {} })]);
    expect(writeBackup(dataDir, file, { idsMax, live: true }).entries).toBe(entries.length + 1);
  });

  it('does not take the place of what is no backup', () => {
    writeFileSync(file, 'my thesis');
    expect(() => writeBackup(dataDir, file, { idsMax, live: true })).toThrow(
      new BackupFailed(`${file} is there and is no backup of troupe: choose another file with --out`),
    );
    expect(readFileSync(file, 'utf8')).toBe('my thesis');
    const live = join(dataDir, 'journal.db');
    expect(() => writeBackup(dataDir, live, { idsMax, live: true })).toThrow(BackupFailed);
  });

  it('of a damaged journal is refused, and the one before stays', async () => {
    writeBackup(dataDir, file, { idsMax, live: true });
    const before = readFileSync(file);
    await journal.close();
    const database = new Database(join(dataDir, 'journal.db'));
    database.exec(`UPDATE entries SET content = replace(content, '"', '''') WHERE "offset" = 6`);
    database.close();
    expect(() => writeBackup(dataDir, file, { idsMax })).toThrow(/is damaged, and was not backed up \(offset 6: /);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['backup.db', 'data']);
  });

  it('misses no entry that the mark knows', async () => {
    await journal.close();
    const database = new Database(join(dataDir, 'journal.db'));
    database.exec(`DELETE FROM entries WHERE "offset" = ${entries.length}`);
    database.close();
    expect(() => writeBackup(dataDir, file, { idsMax })).toThrow(`offset ${entries.length} is missing`);
    expect(existsSync(file)).toBe(false);
  });

  it('into a directory that is not there is refused in one line', () => {
    const missing = join(folder, 'missing', 'b.db');
    expect(() => writeBackup(dataDir, missing, { idsMax, live: true })).toThrow(
      `${join(folder, 'missing')} is no directory: make it first, or choose another place`,
    );
  });

  function next(draft: object): Entry {
    const before = entries.findLast(({ lane }) => lane === 'server')!;
    return { ...draft, offset: entries.length + 1, lane: 'server', laneSeq: before.laneSeq + 1, at: AT } as Entry;
  }
});

describe('a restore', () => {
  beforeEach(() => void writeBackup(dataDir, file, { idsMax, live: true }));

  it('gives every session that exists a new epoch, by entries that say so', async () => {
    const to = join(folder, 'new');
    const { sessions } = restore(file, to);
    const added = (await read(to)).slice(entries.length);
    expect(sessions).toBeGreaterThan(0);
    expect(added).toHaveLength(1 + sessions);
    expect(added[0]).toMatchObject({ kind: 'journal.restored', lane: 'server', at: AT, sessions });
    expect(new Set(added.slice(1).map((entry) => entry.kind === 'session.restored' && entry.epoch)).size).toBe(
      sessions,
    );
    expect(verifyDirectory(to, { idsMax })).toMatchObject({ ok: true, sessions, problems: [] });
    expect(readdirSync(to).sort()).toEqual(['journal.db', 'journal.head', 'lock']);
  });

  it.each([
    ['holds a file', () => writeFileSync(join(folder, 'new', 'x'), 'x'), 'is not empty'],
    ['holds a journal', () => void restore(file, join(folder, 'new')), 'is not empty'],
  ])('refuses a directory that %s', (_what, fill, why) => {
    const to = join(folder, 'new');
    mkdirSync(to);
    fill();
    const before = readdirSync(to).map((name) => [name, readFileSync(join(to, name), 'hex')]);
    expect(() => restore(file, to)).toThrow(`${to} ${why}: restore into a directory that is new or empty`);
    expect(readdirSync(to).map((name) => [name, readFileSync(join(to, name), 'hex')])).toEqual(before);
  });

  it('refuses what is no backup, a journal that is in use among it', () => {
    const to = join(folder, 'new');
    writeFileSync(join(folder, 'text'), 'x'.repeat(200));
    for (const name of ['text', 'missing', 'data/journal.db']) {
      if (name === 'data/journal.db') expect(existsSync(join(dataDir, 'journal.db-wal'))).toBe(true);
      expect(() => restore(join(folder, name), to)).toThrow(/is no backup of troupe \(.+\): name another file/);
      expect(existsSync(to)).toBe(false);
    }
  });

  it('goes on where one was cut', () => {
    const to = join(folder, 'new');
    mkdirSync(to);
    writeFileSync(join(to, 'lock'), '');
    writeFileSync(join(to, 'journal.db.new'), readFileSync(file).subarray(0, 5_000));
    restore(file, to);
    expect(verifyDirectory(to, { idsMax })).toMatchObject({ ok: true });
  });
});

describe('a backup cut short or changed at any byte', () => {
  let tried = 0;
  let refused = 0;
  afterAll(() => expect(refused).toBeGreaterThan(tried / 4));

  it('is restored with every entry, or refused without a trace', { timeout: 120_000 }, async () => {
    writeBackup(dataDir, file, { idsMax, live: true });
    const whole = readFileSync(file);
    const harm = fc.record({ at: fc.nat(whole.length - 1), bit: fc.nat(7), cuts: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(harm, async ({ at, bit, cuts }) => {
        const harmed = Buffer.from(cuts ? whole.subarray(0, at) : whole);
        if (!cuts) harmed[at]! ^= 1 << bit;
        const bad = join(folder, 'bad.db');
        const to = join(folder, 'new');
        writeFileSync(bad, harmed);
        tried += 1;
        try {
          restore(bad, to);
          expect((await read(to)).slice(0, entries.length)).toEqual(entries);
        } catch (error) {
          expect(error).toBeInstanceOf(JournalRefused);
          expect((error as Error).message).not.toContain('\n');
          expect(existsSync(to)).toBe(false);
          refused += 1;
        } finally {
          rmSync(to, { recursive: true, force: true });
        }
      }),
      { numRuns: 60 },
    );
  });
});
