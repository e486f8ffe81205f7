/** What the SQLite journal does to read fast, and what nobody may notice of it. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Journal } from '../../actors/ports.ts';
import { fingerprint } from '../../src/journal/fingerprint.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

let folder: string;
let journal: Journal;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-ahead-'));
  journal = createSqliteJournal({ dataDir: join(folder, 'data') });
  await journal.open();
});

afterEach(async () => {
  await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

it('finds what was appended behind the end that was read ahead, and mixes up no two readers', async () => {
  const source = new EntrySource();
  const append = (count: number): Promise<void> => commit(journal, source.batch(count, 'session:a', 'session:b'));
  const read = async (after: number, lane?: string): Promise<[first: number | undefined, count: number]> => {
    const page = await journal.scan({ after, limit: 5_000, ...(lane !== undefined && { lane }) });
    expect(page.every(({ entry }) => lane === undefined || entry.lane === lane)).toBe(true);
    return [page[0]?.entry.offset, page.length];
  };
  await append(1_500);
  expect(await read(0)).toEqual([1, 1_000]);
  await append(10);
  expect(await read(1_000)).toEqual([1_001, 500]);
  expect(await read(1_500, 'session:b')).toEqual([1_502, 5]);
  expect(await read(1_500)).toEqual([1_501, 10]);
  await append(2);
  expect(await read(1_510)).toEqual([1_511, 2]);
  expect(await read(1_512)).toEqual([undefined, 0]);
  await append(1);
  expect(await read(1_512)).toEqual([1_513, 1]);
});

it('takes the fingerprint from the command, unless one was stored because the command will not be there', async () => {
  await commit(journal, new EntrySource().batch(2, 'session:a'));
  const stored = fingerprint('{"type":"what was received"}');
  const database = new Database(journal.location);
  database.prepare('UPDATE entries SET fingerprint = unhex(?) WHERE "offset" = 2').run(stored);
  database.close();
  const [first, second] = await journal.scan({ after: 0, limit: 10 });
  expect(first?.fingerprint).toBe(fingerprint((first?.entry.content as { command: string }).command));
  expect(second?.fingerprint).toBe(stored);
});
