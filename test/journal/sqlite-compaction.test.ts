/** Dropping from the file: what is left opens, reads and verifies, whatever a crash leaves; a row more that is missing does not. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';
import { fingerprint } from '../../src/journal/fingerprint.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-compaction-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const LANE = 'session:s';
const NAMES = 2_500;

/** A session with many names, compacted, and one more name; a server's entries in between. */
function entries(): Entry[] {
  const all: Entry[] = [];
  const seqs = new Map<string, number>();
  const add = (lane: string, draft: EntryDraft): void => {
    const laneSeq = (seqs.get(lane) ?? 0) + 1;
    seqs.set(lane, laneSeq);
    all.push({ ...draft, offset: all.length + 1, lane, laneSeq, at: 1_000 });
  };
  const settled = (index: number, content: object, sessionVersion: number): EntryDraft =>
    ({
      kind: 'command.settled',
      commandId: `c${index}`,
      commandType: index === 0 ? 'create_session' : 'set_session_name',
      explicitId: true,
      principal: 'local',
      mailbox: 'work',
      sessionId: 's',
      success: true,
      sessionVersion,
      content: { command: '{"type":"set_session_name"}', data: { name: 'secret' }, ...content },
    }) as unknown as EntryDraft;
  add('server', { kind: 'server.started', boot: 1, serverVersion: '1', content: {} });
  add(LANE, settled(0, { facts: [{ type: 'session.opened', sessionId: 's', epoch: 'e' }] }, 0));
  for (let index = 1; index <= NAMES; index += 1) add(LANE, settled(index, {}, index));
  add('server', { kind: 'server.stopped', boot: 1, content: {} });
  add('server', { kind: 'server.started', boot: 2, serverVersion: '1', content: {} });
  add(LANE, { kind: 'lane.compacted', sessionId: 's', seq: 0, sessionVersion: NAMES, ended: [], content: {} });
  add(LANE, settled(NAMES + 1, {}, NAMES + 1));
  return all;
}

const COMPACTED = NAMES + 5;

async function append(journal: Journal, batch: Entry[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    journal.append(batch, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

async function read(journal: Journal): Promise<number[]> {
  const offsets: number[] = [];
  for (let after = 0; ;) {
    const page = await journal.scan({ after, limit: 1_000 });
    const last = page.at(-1);
    if (last === undefined) return offsets;
    offsets.push(...page.map(({ entry }) => entry.offset));
    after = last.entry.offset;
  }
}

async function filled(): Promise<Journal> {
  const journal = createSqliteJournal({ dataDir: dir });
  await journal.open();
  await append(journal, entries());
  return journal;
}

const LEFT = [1, NAMES + 3, NAMES + 4, COMPACTED, COMPACTED + 1];
const verify = () => verifyDirectory(dir, { idsMax: 10_000 });

describe('Compaction against the chain: a lane whose beginning was dropped', () => {
  it('reads and verifies, live, beside it, and after a start; what is appended goes on', async () => {
    const journal = await filled();
    expect(await journal.drop(LANE, COMPACTED)).toBe(NAMES + 1);
    expect(await journal.drop(LANE, COMPACTED)).toBe(0);
    expect(await read(journal)).toEqual(LEFT);
    expect((await journal.scan({ lane: LANE, after: 0, limit: 9 })).map(({ entry }) => entry.offset)).toEqual(
      LEFT.slice(3),
    );
    const counts = {
      ok: true,
      problems: [],
      entries: 5,
      anchors: 1,
      droppedEntries: NAMES + 1,
      sessions: 1,
      remains: NAMES + 1,
    };
    expect(await journal.verify(COMPACTED + 1)).toMatchObject(counts);
    expect(verify()).toMatchObject(counts);
    await journal.close();
    expect(verify()).toMatchObject(counts);
    const again = createSqliteJournal({ dataDir: dir });
    expect(await again.open()).toEqual({ offset: COMPACTED + 1 });
    expect(await read(again)).toEqual(LEFT);
    expect(await again.head(LANE)).toBe(NAMES + 3);
    await append(again, [
      {
        ...(entries().at(-1) as object),
        offset: COMPACTED + 2,
        laneSeq: NAMES + 4,
        commandId: 'x',
        sessionVersion: NAMES + 2,
      } as Entry,
    ]);
    await again.close();
    expect(verify()).toMatchObject({ ok: true, entries: 6 });
  });

  it('leaves of its commands what they were called and how they ended, as proof and without content, and no more than asked for', async () => {
    const journal = await filled();
    await journal.drop(LANE, COMPACTED);
    const text = '{"type":"set_session_name"}';
    const remain = { commandId: 'c3', principal: 'local', explicitId: true, success: true, sessionVersion: 3 };
    const found = await journal.read(5);
    expect(found).toMatchObject({ entry: { ...remain, offset: 5, blanked: true }, fingerprint: fingerprint(text) });
    expect(JSON.stringify(found)).not.toContain('secret');
    expect((await journal.remains(3, 2)).map(({ entry }) => entry.offset)).toEqual([4, 5]);
    expect(await journal.size()).toMatchObject({ remains: NAMES + 1 });
    expect(await journal.trimRemains(1_000)).toBe(NAMES - 999);
    expect(await journal.read(5)).toBeUndefined();
    expect((await journal.remains(0, 1))[0]?.entry.offset).toBe(NAMES - 997);
    expect(await journal.size()).toMatchObject({ remains: 1_000 });
    expect(await journal.verify(COMPACTED + 1)).toMatchObject({ ok: true, remains: 1_000 });
    await journal.close();
    expect(verify()).toMatchObject({ ok: true, remains: 1_000 });
  });

  it('starts with head files of before the drop, and of a slice of it', async () => {
    const journal = await filled();
    await journal.close();
    copyFileSync(join(dir, 'journal.head'), join(dir, '..', 'head-of-before'));
    const second = createSqliteJournal({ dataDir: dir });
    await second.open();
    await read(second);
    await second.drop(LANE, COMPACTED);
    await second.close();
    copyFileSync(join(dir, '..', 'head-of-before'), join(dir, 'journal.head'));
    rmSync(join(dir, '..', 'head-of-before'));
    expect(verify()).toMatchObject({ ok: true });
    const third = createSqliteJournal({ dataDir: dir });
    await third.open();
    expect(await read(third)).toEqual(LEFT);
    await third.close();
  });

  it('is damaged when a row more is missing, or its anchor says something else', async () => {
    const journal = await filled();
    await journal.drop(LANE, COMPACTED);
    await journal.close();
    const alter = (sql: string): void => {
      const database = new Database(join(dir, 'journal.db'));
      database.pragma('foreign_keys = OFF');
      database.exec(sql);
      database.close();
    };
    copyFileSync(join(dir, 'journal.db'), join(dir, 'journal.db.sound'));
    for (const sql of [
      ...LEFT.slice(0, -1).map((offset) => `DELETE FROM entries WHERE "offset" = ${offset}`),
      'UPDATE anchors SET dropped_lane_seq = dropped_lane_seq - 1',
      `UPDATE anchors SET dropped_hash = zeroblob(32)`,
      'DELETE FROM anchors',
      'DELETE FROM remains WHERE "offset" = 5',
      `UPDATE remains SET meta = replace(meta, '"sessionVersion":3', '"sessionVersion":4') WHERE "offset" = 5`,
      `UPDATE remains SET previous = zeroblob(32) WHERE "offset" = 5`,
      `UPDATE remains SET content = '{"data":"what was said"}' WHERE "offset" = 5`,
    ]) {
      alter(sql);
      expect(verify().ok, sql).toBe(false);
      copyFileSync(join(dir, 'journal.db.sound'), join(dir, 'journal.db'));
    }
    rmSync(join(dir, 'journal.db.sound'));
    alter('DELETE FROM entries WHERE "offset" = 1');
    const damaged = createSqliteJournal({ dataDir: dir });
    const found = await damaged
      .open()
      .then(() => read(damaged))
      .catch((error: unknown) => error as Error);
    expect(found).toBeInstanceOf(Error);
    await damaged.close();
  });

  it('refuses to drop in front of anything but the entry that stands for it', async () => {
    const journal = await filled();
    for (const before of [1, 5, COMPACTED + 1, COMPACTED + 9])
      await expect(journal.drop(LANE, before)).rejects.toThrow('nothing was dropped');
    expect((await read(journal)).length).toBe(COMPACTED + 1);
    await journal.close();
  });
});
