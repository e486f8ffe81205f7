/** A journal that the version before wrote: opened for writing it is migrated, only read it stays as it is. */
import Database from 'better-sqlite3';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { DirectoryReader } from '../../src/journal/sqlite-reading.ts';
import { migrate, schemaFlaw, schemaVersionOf } from '../../src/journal/sqlite-schema.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

let dataDir: string;
let file: string;
let source: EntrySource;

beforeEach(() => {
  source = new EntrySource();
  dataDir = mkdtempSync(join(tmpdir(), 'troupe-migration-'));
  file = join(dataDir, 'journal.db');
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** A journal with the tables of version 1. */
async function makeOldJournal(): Promise<void> {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  await commit(journal, source.batch(20, 'server', 'session:a', 'session:b'));
  await journal.close();
  const database = new Database(file);
  database.exec(`
    DROP TABLE remains; DROP TABLE anchors; DROP TABLE checkpoints; DROP TABLE snapshots;
    ALTER TABLE entries DROP COLUMN digest; PRAGMA user_version = 1;
  `);
  expect(schemaFlaw(database)).toBeUndefined();
  database.close();
}

/** Journals that a server of version 1 left behind (see test/history/README.md). */
const RECORDED = fileURLToPath(new URL('../history/0.1.0-schema-1', import.meta.url));

it.each(['conversation', 'killed', 'rebuilt'])('One-version schema migration fixture passes: %s', async (name) => {
  cpSync(join(RECORDED, name, 'data'), dataDir, { recursive: true });
  const old = verifyDirectory(dataDir, { idsMax: 1_000 });
  expect(old).toMatchObject({ ok: true });
  const journal = createSqliteJournal({ dataDir });
  expect(await journal.open()).toEqual({ offset: old.lastOffset });
  await journal.close();
  const database = new Database(file, { readonly: true });
  expect([schemaVersionOf(database), schemaFlaw(database)]).toEqual([3, undefined]);
  database.close();
  const { journal: _where, ...found } = verifyDirectory(dataDir, { idsMax: 1_000 });
  expect(old).toMatchObject(found);
});

it('keeps every entry, takes new ones and verifies', async () => {
  await makeOldJournal();
  const journal = createSqliteJournal({ dataDir });
  expect(await journal.open()).toEqual({ offset: 20 });
  const before = await journal.scan({ after: 0, limit: 100 });
  expect(before.map(({ entry }) => entry.offset)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  await commit(journal, source.batch(5, 'session:a', 'session:c'));
  await journal.close();

  const database = new Database(file, { readonly: true });
  expect([schemaVersionOf(database), schemaFlaw(database)]).toEqual([3, undefined]);
  database.close();
  const again = createSqliteJournal({ dataDir });
  expect(await again.open()).toEqual({ offset: 25 });
  expect((await again.scan({ after: 0, limit: 20 })).map(({ hash }) => hash)).toEqual(before.map(({ hash }) => hash));
  await again.close();
});

it('of version 2, which had no room for what remains of commands, is read, verified and migrated', async () => {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  await commit(journal, source.batch(20, 'server', 'session:a', 'session:b'));
  await journal.close();
  const database = new Database(file);
  database.exec(`
    DROP TABLE remains; DROP TABLE anchors;
    CREATE TABLE anchors (lane_id INTEGER PRIMARY KEY REFERENCES lanes (id), "offset" INTEGER NOT NULL REFERENCES entries ("offset"),
      dropped_offset INTEGER NOT NULL, dropped_lane_seq INTEGER NOT NULL, dropped_hash BLOB NOT NULL) STRICT;
    PRAGMA user_version = 2;
  `);
  expect(schemaFlaw(database)).toBeUndefined();
  database.close();
  const before = verifyDirectory(dataDir, { idsMax: 1_000 });
  expect(before).toMatchObject({ entries: 20, lastOffset: 20, anchors: 0, remains: 0 });
  const reader = new DirectoryReader(dataDir);
  expect(await reader.scan({ after: 0, limit: 100, lane: 'session:a' })).not.toEqual([]);
  reader.close();
  const again = createSqliteJournal({ dataDir });
  expect(await again.open()).toEqual({ offset: 20 });
  expect(await again.anchors()).toEqual([]);
  await again.close();
  const migrated = new Database(file, { readonly: true });
  expect([schemaVersionOf(migrated), schemaFlaw(migrated)]).toEqual([3, undefined]);
  migrated.close();
});

it('is verified without being migrated', async () => {
  await makeOldJournal();
  const before = readFileSync(file);
  const report = verifyDirectory(dataDir, { idsMax: 1_000 });
  expect(report).toMatchObject({ entries: 20, lastOffset: 20 });
  expect(readFileSync(file).equals(before)).toBe(true);
});

it('stays in its form when the migration fails', async () => {
  await makeOldJournal();
  const database = new Database(file);
  database.exec('CREATE TABLE anchors (something TEXT)');
  expect(() => migrate(database)).toThrow('table anchors already exists');
  expect(schemaVersionOf(database)).toBe(1);
  expect(schemaFlaw(database)).toBeUndefined();
  database.close();
});
