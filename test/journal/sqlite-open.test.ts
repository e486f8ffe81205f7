/** What the SQLite journal makes of the directory that it is given: its own, or left exactly as it was. */
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JournalRefused } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { JOURNAL_PROCESS, startProcess } from './started.ts';

let folder: string;
let dataDir: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-open-'));
  dataDir = join(folder, 'data');
  file = join(dataDir, 'journal.db');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Names, modes and contents of all that is in the folder. */
function everythingIn(path: string): unknown {
  const found = statSync(path);
  if (!found.isDirectory()) return [found.mode, createHash('sha256').update(readFileSync(path)).digest('hex')];
  return [found.mode, Object.fromEntries(readdirSync(path).map((name) => [name, everythingIn(join(path, name))]))];
}

async function refusal(): Promise<string> {
  const error: unknown = await createSqliteJournal({ dataDir })
    .open()
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(JournalRefused);
  return (error as Error).message;
}

/** Refused with this line, and nothing is other than before. */
async function expectRefusal(line: string): Promise<void> {
  const before = everythingIn(folder);
  expect(await refusal()).toBe(line);
  expect(everythingIn(folder)).toEqual(before);
}

async function makeJournal(entries = 3): Promise<void> {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  await commit(journal, new EntrySource().batch(entries, 'server', 'session:a'));
  await journal.close();
}

const ELSEWHERE = 'choose another directory with --data-dir';
const FROM_BACKUP = `restore it from a backup, or ${ELSEWHERE}`;

describe('a directory of its own', () => {
  it('is made, with its parents, for this user alone', async () => {
    dataDir = join(folder, 'a', 'b', 'c');
    const journal = createSqliteJournal({ dataDir });
    await journal.open();
    await commit(journal, new EntrySource().batch(1, 'server'));
    const mode = (path: string): number => statSync(path).mode & 0o777;
    for (const path of ['a', 'a/b', 'a/b/c']) expect(mode(join(folder, path)), path).toBe(0o700);
    for (const name of readdirSync(dataDir)) expect(mode(join(dataDir, name)), name).toBe(0o600);
    await journal.close();
  });

  it.each([
    ['empty', () => mkdirSync(dataDir)],
    ['the root of a file system', () => mkdirSync(join(dataDir, 'lost+found'), { recursive: true })],
    ['what a server left that died before its journal was born', leaveUnborn],
    ['reached through a link', () => symlinkSync(mkdtempSync(join(folder, 'real-')), dataDir)],
  ])('may be %s', async (_what, prepare) => {
    prepare();
    const journal = createSqliteJournal({ dataDir });
    expect(await journal.open()).toEqual({ offset: 0 });
    await journal.close();
  });

  function leaveUnborn(): void {
    mkdirSync(dataDir);
    for (const name of ['lock', 'journal.db.new', 'journal.db.new-journal']) writeFileSync(join(dataDir, name), '');
  }

  it('may hold other files too, and a journal that was copied there without the lock', async () => {
    await makeJournal();
    rmSync(join(dataDir, 'lock'));
    writeFileSync(join(dataDir, 'notes.txt'), 'mine');
    const journal = createSqliteJournal({ dataDir });
    expect(await journal.open()).toEqual({ offset: 3 });
    await journal.close();
    expect(readFileSync(join(dataDir, 'notes.txt'), 'utf8')).toBe('mine');
  });
});

describe('a directory that is refused, and left as it was:', () => {
  it('a file', async () => {
    writeFileSync(dataDir, 'I am a file');
    await expectRefusal(`${dataDir} is not a directory: ${ELSEWHERE}`);
  });

  it('a path below a file', async () => {
    const blocking = dataDir;
    writeFileSync(blocking, 'I am a file');
    dataDir = join(blocking, 'a', 'b');
    await expectRefusal(`${blocking} is not a directory: ${ELSEWHERE}`);
  });

  it('a path where no directory can be made', async () => {
    // Where there is no such file system, its name can't be made either.
    dataDir = '/proc/troupe/data';
    expect(await refusal()).toMatch(/^\/proc\/troupe\/data (cannot be made there|is not writable): /);
  });

  it.each(['notes.txt', 'lock', 'other.db'])('somebody else’s, which holds %s', async (name) => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, name), 'something of mine');
    await expectRefusal(`${dataDir} holds other files and no journal of troupe: ${ELSEWHERE}`);
  });

  it.each([
    ['empty', async () => mkdirSync(dataDir)],
    ['with a journal', () => makeJournal()],
  ])('one that this user must not write to, %s', async (_what, prepare) => {
    await prepare();
    chmodSync(dataDir, 0o500);
    const before = everythingIn(folder);
    expect(await linesAsUser()).toEqual([
      `refused ${dataDir} is not writable: let this user write to it, or ${ELSEWHERE}`,
    ]);
    expect(everythingIn(folder)).toEqual(before);
  });
});

/** What a process says that opens the directory and has to respect modes. */
async function linesAsUser(): Promise<readonly string[]> {
  // Nothing is forbidden to root, unless it gives up the right to ignore modes.
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : [];
  const [command = '', ...args] = [...asUser, process.execPath, JOURNAL_PROCESS, dataDir, 'open'];
  return startProcess(command, args).ended;
}

describe('a journal.db that is refused, and left as it was:', () => {
  it.each([
    ['empty', ''],
    ['garbage', 'x'.repeat(5_000)],
    ['nearly SQLite', 'SQLite format 2\0'.repeat(300)],
  ])('%s', async (_what, bytes) => {
    mkdirSync(dataDir);
    writeFileSync(file, bytes);
    await expectRefusal(`${file} is not an SQLite database: ${FROM_BACKUP}`);
  });

  it('empty, beside a lock', async () => {
    mkdirSync(dataDir);
    for (const name of ['journal.db', 'lock']) writeFileSync(join(dataDir, name), '');
    await expectRefusal(`${file} is not an SQLite database: ${FROM_BACKUP}`);
  });

  it('one that this user must not write to', async () => {
    await makeJournal();
    chmodSync(file, 0o400);
    const before = everythingIn(folder);
    expect(await linesAsUser()).toEqual([
      `refused ${file} is not writable: let this user write to it, or ${ELSEWHERE}`,
    ]);
    expect(everythingIn(folder)).toEqual(before);
  });

  it('the database of another program', async () => {
    mkdirSync(dataDir);
    const other = new Database(file);
    other.exec('CREATE TABLE customers (id INTEGER PRIMARY KEY)');
    other.close();
    await expectRefusal(`${file} is the database of another program: ${ELSEWHERE}`);
  });

  it('one of a newer troupe', async () => {
    await makeJournal();
    const database = new Database(file);
    database.pragma('user_version = 4');
    database.pragma('wal_checkpoint(TRUNCATE)');
    database.close();
    const remedy = `upgrade troupe, or ${ELSEWHERE}`;
    await expectRefusal(`${file} was written by a newer troupe (its form is 4, this one knows 3): ${remedy}`);
  });

  it('one that says it is newer in its log alone', async () => {
    await makeJournal();
    const database = new Database(file);
    database.pragma('wal_autocheckpoint = 0');
    database.pragma('user_version = 4');
    const newer = mkdtempSync(join(folder, 'copy-'));
    for (const name of readdirSync(dataDir)) writeFileSync(join(newer, name), readFileSync(join(dataDir, name)));
    database.close();
    dataDir = newer;
    expect(await refusal()).toContain('was written by a newer troupe');
  });

  it.each([
    ['torn', () => truncateSync(file, 3 * 4_096 + 100)],
    ['cut behind its header', () => truncateSync(file, 4_096)],
    ['overwritten in the middle', () => overwrite(2 * 4_096, 1_000)],
    ['without its tables', () => alter('DROP TABLE places')],
  ])('one that is %s', async (_what, damage) => {
    await makeJournal(200);
    damage();
    const before = readFileSync(file);
    const line = await refusal();
    expect(line).toMatch(/^\S+\/journal\.db (is damaged|cannot be opened) \([^\n]+\): restore it from a backup, or /);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  function overwrite(at: number, length: number): void {
    const bytes = readFileSync(file);
    bytes.fill(0xa5, at, at + length);
    writeFileSync(file, bytes);
  }

  function alter(sql: string): void {
    const database = new Database(file);
    database.exec(sql);
    database.close();
  }

  it('and the directory is free again at once', async () => {
    mkdirSync(dataDir);
    writeFileSync(file, 'garbage');
    const journal = createSqliteJournal({ dataDir });
    await expect(journal.open()).rejects.toThrow('is not an SQLite database');
    rmSync(file);
    expect(await journal.open()).toEqual({ offset: 0 });
    await journal.close();
  });
});
