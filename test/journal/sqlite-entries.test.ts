/** The database side of the SQLite journal without its thread: quick to open, so that much can be tried. */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { decode } from '../../src/journal/entry.ts';
import { SqliteEntries } from '../../src/journal/sqlite-entries.ts';
import { openJournalFile } from '../../src/journal/sqlite-file.ts';
import { packEntries, unpack } from '../../src/journal/sqlite-wire.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

let folder: string;
let path: string;
let database: Database.Database;
let entries: SqliteEntries;

function reopen(): void {
  database.close();
  open();
}

function open(): void {
  database = openJournalFile(path);
  entries = new SqliteEntries(database);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-entries-'));
  path = join(folder, 'journal.db');
  open();
});

afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

const offsetsOf = (lane: string | undefined, after = 0, limit = 1_000_000): number[] =>
  unpack(entries.page({ after, limit, lane })).map(({ offset }) => offset);

/** All pages of it. */
function allOffsets(lane: string | undefined): number[] {
  const found: number[] = [];
  for (;;) {
    const page = offsetsOf(lane, found.at(-1));
    if (page.length === 0) return found;
    found.push(...page);
  }
}

describe('several batches in one transaction', () => {
  const source = (): EntrySource => new EntrySource();

  it('are stored without the one that does not fit, and without those behind it', () => {
    const good = source();
    const first = good.batch(2, 'server', 'session:a');
    const second = good.batch(2, 'session:a', 'session:b');
    const misfit = [...good.batch(1, 'session:c'), { ...good.next('server'), offset: 99 }];
    const behind = good.batch(1, 'session:b');
    const committed = entries.commit([first, second, misfit, behind].map(packEntries));
    expect(committed.batches).toBe(2);
    expect(committed.failure?.message).toContain('offset 99, laneSeq 2 of server does not continue the journal');
    expect(allOffsets(undefined)).toEqual([1, 2, 3, 4]);
    expect(entries.laneSeq('session:c')).toBe(0);
    expect(entries.offset).toBe(4);
  });

  it('are stored all or none when the database itself refuses', () => {
    const good = source();
    entries.commit([packEntries(good.batch(3, 'server'))]);
    database.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN NEW."offset" = 6 BEGIN SELECT RAISE(ABORT, 'no'); END`,
    );
    const batches = [good.batch(2, 'server', 'session:a'), good.batch(2, 'session:b', 'server')];
    expect(entries.commit(batches.map(packEntries))).toMatchObject({ batches: 0, failure: { message: 'no' } });
    expect(entries.offset).toBe(3);
    expect(entries.laneSeq('server')).toBe(3);
    expect(entries.laneSeq('session:a')).toBe(0);
    database.exec('DROP TRIGGER refuse');
    expect(entries.commit(batches.map(packEntries))).toEqual({ batches: 2 });
    expect(allOffsets('server')).toEqual([1, 2, 3, 4, 7]);
  });

  it('are refused when another program wrote to the file', () => {
    const good = source();
    entries.commit([packEntries(good.batch(2, 'server'))]);
    const other = new Database(path);
    other.exec(
      'INSERT INTO entries SELECT "offset" + 1, lane_id, lane_seq, at, version, kind, meta, content, hash, NULL, NULL FROM entries WHERE "offset" = 2',
    );
    other.close();
    const { batches, failure } = entries.commit([packEntries(good.batch(1, 'server'))]);
    expect(batches).toBe(0);
    expect(failure?.message).toContain('UNIQUE constraint failed');
  });
});

describe('the database', () => {
  // A kill of the process does not show it, and the power can't be cut in a test.
  it('syncs its log at every commit', () => {
    const pragma = (name: string): unknown => database.pragma(name, { simple: true });
    expect(pragma('journal_mode')).toBe('wal');
    expect(pragma('synchronous'), '2 is FULL').toBe(2);
    expect(pragma('fullfsync')).toBe(1);
  });
});

describe('a page', () => {
  it('ends after a thousand entries, and the next one goes on', () => {
    entries.commit([packEntries(new EntrySource().batch(2_500, 'server', 'session:a'))]);
    expect(offsetsOf(undefined)).toHaveLength(1_000);
    expect(allOffsets(undefined)).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
    expect(allOffsets('session:a')).toEqual(Array.from({ length: 1_250 }, (_, index) => 2 * index + 2));
  });

  it('ends earlier when its entries are large, but never before the first', () => {
    const source = new EntrySource();
    const large = (): Entry => {
      const event = { type: 'message_end', message: 'x'.repeat(3 * 1024 * 1024) };
      return source.next('session:a', {
        kind: 'session.event',
        sessionId: 'a',
        seq: 1,
        eventType: 'message_end',
        content: { event },
      });
    };
    entries.commit([packEntries(Array.from({ length: 5 }, large))]);
    expect(offsetsOf(undefined)).toEqual([1, 2]);
    expect(offsetsOf('session:a', 2)).toEqual([3, 4]);
    expect(offsetsOf(undefined, 4)).toEqual([5]);
  });
});

describe('lanes', () => {
  const LANES = Array.from({ length: 7 }, (_, index) => `session:s${index}`);
  /** More than are remembered unwritten, so that some places are in the table and some are not. */
  const COUNT = 10_001;

  it('are found whole, in order, while places are written in bulk, and after the journal was opened again', () => {
    const source = new EntrySource();
    const stored: Entry[] = [];
    while (stored.length < COUNT) {
      const batch = source.batch(503, ...LANES);
      stored.push(...batch);
      entries.commit([packEntries(batch)]);
    }
    const check = (): void => {
      for (const lane of LANES) {
        const expected = stored.filter((entry) => entry.lane === lane);
        expect(allOffsets(lane)).toEqual(expected.map(({ offset }) => offset));
        expect(entries.laneSeq(lane)).toBe(expected.length);
        expect(offsetsOf(lane, 4_090, 3)).toEqual(
          expected
            .map(({ offset }) => offset)
            .filter((o) => o > 4_090)
            .slice(0, 3),
        );
      }
    };
    const written = database.prepare('SELECT count(*) FROM places').pluck().get() as number;
    expect(written).toBeGreaterThan(4_000);
    expect(written).toBeLessThan(stored.length);
    check();
    reopen();
    check();
    const more = source.batch(5_000, ...LANES);
    stored.push(...more);
    expect(entries.commit([packEntries(more)])).toEqual({ batches: 1 });
    check();
    reopen();
    check();
  });

  it('that UTF-8 has no name for are refused', () => {
    const { failure } = entries.commit([packEntries(new EntrySource().batch(1, 'session:\ud83d'))]);
    expect(failure?.message).toContain(`can't be stored`);
    expect(entries.offset).toBe(0);
  });
});

describe('any batches', () => {
  const size = fc.integer({ min: 0, max: 9 });
  const lanes = fc.array(fc.constantFrom('server', 'session:a', 'session:b', 'session:c'), {
    minLength: 1,
    maxLength: 3,
  });
  const batch = fc.record({ size, lanes, misplaced: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1) });
  const transaction = fc.record({ batches: fc.array(batch, { maxLength: 5 }), reopens: fc.boolean() });

  it('leave what fits, transaction by transaction', () => {
    fc.assert(
      fc.property(fc.array(transaction, { maxLength: 8 }), (transactions) => {
        database.close();
        rmSync(path);
        open();
        const model: Entry[] = [];
        for (const { batches, reopens } of transactions) {
          const source = new EntrySource(model);
          const made = batches.map(({ size, lanes, misplaced }) => {
            const batch = source.batch(size, ...lanes);
            const last = batch.pop();
            return last === undefined ? [] : [...batch, { ...last, laneSeq: last.laneSeq + misplaced }];
          });
          const bad = batches.findIndex(({ size, misplaced }) => size > 0 && misplaced !== 0);
          const fitting = bad === -1 ? made.length : bad;
          const { batches: committed, failure } = entries.commit(made.map(packEntries));
          expect(committed).toBe(fitting);
          expect(failure === undefined).toBe(bad === -1);
          model.push(...made.slice(0, fitting).flat());
          if (reopens) reopen();
        }
        expect(unpack(entries.page({ after: 0, limit: 1_000, lane: undefined })).map(decode)).toEqual(model);
        for (const lane of ['server', 'session:a', 'session:b', 'session:c']) {
          const offsets = model.filter((entry) => entry.lane === lane).map(({ offset }) => offset);
          expect(allOffsets(lane)).toEqual(offsets);
          expect(entries.laneSeq(lane)).toBe(offsets.length);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('a checkpoint', () => {
  const source = new EntrySource();
  const commit = (count: number): void => {
    expect(entries.commit([packEntries(source.batch(count, 'server', 'session:a', 'session:b'))]).batches).toBe(1);
  };

  it('whose ledger stayed behind says nothing of where lanes end, and is begun from', () => {
    commit(5);
    offsetsOf(undefined);
    const behind = entries.ledger.export();
    commit(5);
    entries.derived.seal({ offset: 8, header: '{}', parts: 0 }, behind);
    commit(5);
    reopen();
    expect(offsetsOf(undefined, 8)).toEqual([9, 10, 11, 12, 13, 14, 15]);
  });
});
