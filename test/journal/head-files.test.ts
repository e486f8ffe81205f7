/** What is known of a journal's end beside it: when it is written, and that it is never ahead of what is durable. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEAD_FILE, HeadFiles, MARK_FILE, readHeadFiles } from '../../src/journal/head-files.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { commit, everything } from '../../src/testing/journal-under-test.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'troupe-heads-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const end = { offset: 7, hash: 'ab'.repeat(32) };
const head = { ...end, digest: 12, lanes: [[7, 99]] as const };

describe('the head files of a journal', () => {
  it('say at every commit how far it is, now and then synced, and at a stop where every lane ends', async () => {
    const journal = createSqliteJournal({ dataDir });
    await journal.open();
    const source = new EntrySource();
    for (let count = 1; count <= 3; count += 1) {
      await commit(journal, source.batch(2, 'server', 'session:a'));
      const stored = await everything(journal);
      expect(readHeadFiles(dataDir)).toEqual({
        head: undefined,
        mark: { offset: 2 * count, hash: stored.at(-1)?.hash },
      });
    }
    await commit(journal, source.batch(4_096, 'server', 'session:b'));
    // Written behind the answer.
    await journal.head('server');
    const { head: synced, mark } = readHeadFiles(dataDir);
    expect(synced).toEqual({ ...mark, digest: expect.any(Number) as number, lanes: null });
    expect(synced?.offset).toBe(4_102);
    await commit(journal, source.batch(1, 'server'));
    await journal.close();
    expect(readHeadFiles(dataDir)).toEqual({
      head: {
        offset: 4_103,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        digest: expect.any(Number) as number,
        lanes: [3 + 2_048 + 1, 3, 2_048].map((laneSeq) => [laneSeq, expect.any(Number) as number]),
      },
      mark: undefined,
    });
  });

  it('say the same after a boot that read it all or wrote nothing, and less after one that wrote unread', async () => {
    const run = async (reads: boolean, appends = 0): Promise<ReturnType<typeof readHeadFiles>['head']> => {
      const journal = createSqliteJournal({ dataDir });
      const { offset } = await journal.open();
      if (reads) await everything(journal);
      if (offset === 0) await commit(journal, source.batch(5, 'server', 'session:a'));
      if (appends > 0) await commit(journal, source.batch(appends, 'server'));
      await journal.close();
      return readHeadFiles(dataDir).head;
    };
    const source = new EntrySource();
    const first = await run(true);
    expect(first?.lanes).toHaveLength(2);
    expect(await run(true)).toEqual(first);
    expect(await run(false)).toEqual(first);
    expect(await run(false, 2)).toMatchObject({ offset: 7, digest: null, lanes: null });
    expect(await run(true)).toMatchObject({ offset: 7, digest: expect.any(Number) as number });
  });

  it('say nothing when a bit of them flipped, when they were cut, or when a later version wrote them', () => {
    const files = new HeadFiles(dataDir);
    files.write(head);
    files.acknowledge(end);
    expect(readHeadFiles(dataDir)).toEqual({ head, mark: end });
    for (const name of [HEAD_FILE, MARK_FILE]) {
      const path = join(dataDir, name);
      const text = readFileSync(path, 'utf8');
      const line = text.trimEnd();
      for (let at = 0; at < line.length; at += 5) {
        const flipped = line.slice(0, at) + String.fromCharCode(line.charCodeAt(at) ^ 1) + line.slice(at + 1);
        writeFileSync(path, flipped);
        expect(readHeadFiles(dataDir)[name === HEAD_FILE ? 'head' : 'mark'], flipped).toBeUndefined();
        writeFileSync(path, line.slice(0, at));
        expect(readHeadFiles(dataDir)[name === HEAD_FILE ? 'head' : 'mark'], `cut at ${at}`).toBeUndefined();
      }
      writeFileSync(path, line.replace('"form":1', '"form":2'));
      expect(readHeadFiles(dataDir)[name === HEAD_FILE ? 'head' : 'mark']).toBeUndefined();
      writeFileSync(path, text);
    }
  });

  it('keep the mark when the head cannot be written, and do not complain about either', () => {
    const files = new HeadFiles(dataDir);
    files.acknowledge(end);
    mkdirSync(join(dataDir, `${HEAD_FILE}.new`));
    files.stop(head);
    expect(readHeadFiles(dataDir)).toEqual({ head: undefined, mark: end });
    rmSync(join(dataDir, `${HEAD_FILE}.new`), { recursive: true });
    files.stop(head);
    expect(readHeadFiles(dataDir)).toEqual({ head, mark: undefined });
    rmSync(dataDir, { recursive: true });
    files.acknowledge(end);
    files.stop(head);
    expect(existsSync(dataDir)).toBe(false);
  });
});
