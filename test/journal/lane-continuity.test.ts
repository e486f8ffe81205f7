/** A hole in a lane is damage for whoever looks back, and is told with lane, number and place. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryReader } from '../../src/journal/sqlite-reading.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { commit } from '../../src/testing/journal-under-test.ts';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-hole-'));
  const journal = createSqliteJournal({ dataDir: folder });
  await journal.open();
  // By turns: session:b has the even offsets.
  await commit(journal, new EntrySource().batch(40, 'session:a', 'session:b'));
  await journal.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function change(...statements: readonly string[]): void {
  const database = new Database(join(folder, 'journal.db'));
  database.pragma('foreign_keys = OFF');
  for (const statement of statements) database.exec(statement);
  database.close();
}

async function offsets(lane: string | undefined, limit: number, from = 0): Promise<number[]> {
  const reader = new DirectoryReader(folder);
  try {
    const found: number[] = [];
    for (;;) {
      const page = await reader.scan({ after: found.at(-1) ?? from, limit, ...(lane !== undefined && { lane }) });
      if (page.length === 0) return found;
      found.push(...page.map(({ entry }) => entry.offset));
    }
  } finally {
    reader.close();
  }
}

const drop = (offset: number): string[] => [
  `DELETE FROM places WHERE "offset" = ${offset}`,
  `DELETE FROM entries WHERE "offset" = ${offset}`,
];

describe('a lane with a hole', () => {
  // Inside of a page, at its edge, and all pages of one entry.
  it.each([1, 4, 5, 1_000])('is damage in pages of %i', async (limit) => {
    change(...drop(10));
    const line = /offset 12 is number 6 of session:b, where number 5 belongs/;
    await expect(offsets('session:b', limit)).rejects.toThrow(line);
    await expect(offsets(undefined, limit)).rejects.toThrow(line);
    expect(await offsets('session:a', limit)).toHaveLength(20);
  });

  it('is damage at its start as well', async () => {
    change(...drop(2));
    const line = /offset 4 is number 2 of session:b, where number 1 belongs/;
    await expect(offsets('session:b', 10)).rejects.toThrow(line);
    await expect(offsets(undefined, 10)).rejects.toThrow(line);
  });

  it('is none where an anchor says that the older entries were dropped, and one behind it', async () => {
    change(
      ...drop(2),
      ...drop(4),
      `INSERT INTO anchors SELECT lane_id, "offset", 4, 2, x'00', 0, 0 FROM entries WHERE "offset" = 40`,
    );
    expect((await offsets('session:b', 3))[0]).toBe(6);
    expect(await offsets(undefined, 7)).toHaveLength(38);
    change(...drop(6));
    await expect(offsets('session:b', 3)).rejects.toThrow(/offset 8 is number 4 of session:b, where number 3 belongs/);
  });

  it('is noticed by an index that lost a place, too', async () => {
    change(
      'INSERT INTO places SELECT lane_id, "offset" FROM entries ORDER BY lane_id, "offset"',
      'DELETE FROM places WHERE "offset" = 20',
    );
    await expect(offsets('session:b', 100)).rejects.toThrow(
      /offset 22 is number 11 of session:b, where number 10 belongs/,
    );
  });
});

it('takes a reader at its word that begins in the middle', async () => {
  expect(await offsets('session:b', 3, 11)).toHaveLength(15);
  expect(await offsets(undefined, 3, 11)).toHaveLength(29);
});
