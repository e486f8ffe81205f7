/** What blanking leaves on the disk: not a byte of what was removed, in no file of the journal, and a journal that verifies. */
import Database from 'better-sqlite3';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EntryDraft } from '../../actors/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { EntrySource, renamed } from '../../src/testing/entry-source.ts';
import { commit } from '../../src/testing/journal-under-test.ts';

const SECRET = 'xyzzy-plugh';
let dataDir: string;
beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'troupe-blanking-'))));
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** Short ones, and some that need pages of their own. */
function saying(index: number): EntryDraft {
  const name = `${SECRET}-${index}-${'.'.repeat(index % 7 === 0 ? 20_000 : index)}${SECRET}`;
  const command = JSON.stringify({ type: 'set_session_name', id: `c-${index}`, sessionId: 's', name });
  return {
    ...renamed(`c-${index}`),
    content: { command, events: [{ type: 'session_changed', fields: { name } }] },
  } as EntryDraft;
}

function filesWithSecret(): string[] {
  return readdirSync(dataDir).filter((name) => readFileSync(join(dataDir, name)).includes(SECRET));
}

it('leaves no byte of it in the main file, the log and the head files, neither live nor after a stop', async () => {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  const source = new EntrySource();
  for (let index = 0; index < 3_000; index += 100) {
    const batch = Array.from({ length: 100 }, (_, at) =>
      at % 3 === 0 ? source.next('session:other') : source.next('session:s', saying(index + at)),
    );
    await commit(journal, batch);
  }
  expect(filesWithSecret()).not.toEqual([]);
  expect(await journal.blank({ lane: 'session:s', through: 3_000 })).toEqual({ entries: 1_980, erased: true });
  expect(filesWithSecret()).toEqual([]);
  await commit(journal, source.batch(3, 'session:s', 'server'));
  await journal.close();
  expect(filesWithSecret()).toEqual([]);
  const hashProblems = verifyDirectory(dataDir, { idsMax: 10 }).problems.filter(({ problem }) =>
    /hash|blanked|index|missing/.test(problem),
  );
  expect(hashProblems).toEqual([]);
});

it('says so when another program keeps the log, and has it gone with the next try', async () => {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  const source = new EntrySource();
  await commit(journal, [source.next('session:s', saying(1))]);
  const reader = new Database(join(dataDir, 'journal.db'), { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  expect(await journal.blank({ lane: 'session:s', through: 9 })).toEqual({ entries: 1, erased: false });
  reader.close();
  expect(await journal.blank({ lane: 'session:s', through: 9 })).toEqual({ entries: 0, erased: true });
  expect(filesWithSecret()).toEqual([]);
  await journal.close();
});

it('drops the snapshots and checkpoints that were folded from it', async () => {
  const journal = createSqliteJournal({ dataDir });
  await journal.open();
  const source = new EntrySource();
  await commit(journal, [source.next('session:s', saying(1)), source.next('session:other')]);
  const database = new Database(join(dataDir, 'journal.db'));
  database.exec(`INSERT INTO snapshots SELECT id, 1, '${SECRET}', x'00' FROM lanes`);
  database.exec(`INSERT INTO checkpoints VALUES (1, 0, CAST('${SECRET}' AS BLOB), x'00')`);
  await journal.blank({ lane: 'session:s', through: 9 });
  expect(database.prepare('SELECT count(*) FROM checkpoints').pluck().get()).toBe(0);
  expect(database.prepare('SELECT name FROM snapshots JOIN lanes ON id = lane_id').pluck().all()).toEqual([
    'session:other',
  ]);
  database.close();
  await journal.close();
});
