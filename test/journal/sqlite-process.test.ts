/** The SQLite journal and the end of processes: real files, real locks, real kills. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JournalRefused } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { chainOffence } from '../../src/testing/chain-offence.ts';
import { commit, everything } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { JOURNAL_PROCESS, startProcess } from './started.ts';
import type { Started } from './started.ts';

let folder: string;
let dataDir: string;
let started: Started[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-process-'));
  dataDir = join(folder, 'data');
  started = [];
});

afterEach(async () => {
  for (const { child, ended } of started) {
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function start(task: 'open' | 'append' | 'again', under: readonly string[] = []): Started {
  const [command = process.execPath, ...args] = [...under, process.execPath, JOURNAL_PROCESS, dataDir, task];
  const process_ = startProcess(command, args);
  started.push(process_);
  return process_;
}

describe('the data directory of a running server', { timeout: 60_000 }, () => {
  it('is refused to a second process, in one line with its name and the remedy', async () => {
    await start('open').said('opened 0');
    const [line = '', ...more] = await start('open').ended;
    expect(line).toBe(
      `refused ${dataDir} is in use by another server: stop that one, or choose another directory with --data-dir`,
    );
    expect(more).toEqual([]);
  });

  it('is refused to this process too, and is free as soon as the other one was killed', async () => {
    const other = start('open');
    await other.said('opened 0');
    const journal = createSqliteJournal({ dataDir });
    await expect(journal.open()).rejects.toThrow(JournalRefused);
    other.child.kill('SIGKILL');
    await other.ended;
    expect(await journal.open()).toEqual({ offset: 0 });
    await journal.close();
  });

  it('holds the lock, the journal and what is known of its end, and nothing else once it was closed', async () => {
    const journal = createSqliteJournal({ dataDir });
    await journal.open();
    await commit(journal, new EntrySource().batch(1, 'server'));
    const beside = ['journal.db', 'journal.db-shm', 'journal.db-wal', 'journal.mark', 'lock'];
    expect(readdirSync(dataDir).sort()).toEqual(beside);
    await journal.close();
    expect(readdirSync(dataDir).sort()).toEqual(['journal.db', 'journal.head', 'lock']);
  });
});

describe('kill -9', { timeout: 120_000 }, () => {
  it('loses nothing that was done, and leaves no hole, again and again', async () => {
    let before = 0;
    for (const commits of [1, 40, 300]) {
      const writer = start('append');
      expect(await writer.said('opened')).toBe(`opened ${before}`);
      await writer.said(`committed ${before + 17 * commits}`);
      writer.child.kill('SIGKILL');
      const lines = await writer.ended;
      const acknowledged = Number(lines.at(-1)?.split(' ')[1]);
      expect(lines.at(-1)).toBe(`committed ${before + 17 * (lines.length - 1)}`);

      const journal = createSqliteJournal({ dataDir });
      const { offset } = await journal.open();
      const stored = await everything(journal);
      expect(offset).toBeGreaterThanOrEqual(acknowledged);
      expect(stored).toHaveLength(offset);
      expect(offset % 17, 'a batch was stored in part').toBe(0);
      expect(chainOffence(stored)).toBeUndefined();
      await journal.close();
      before = offset;
    }
  });
});

describe('a full disk', { timeout: 120_000 }, () => {
  // A file may not grow beyond that here, which the kernel enforces like a full disk: the write fails in the middle.
  const KIBIBYTES = 700;

  it('fails the batch and all behind it, reads go on, and with room again it goes on where it was', async () => {
    const starved = start('append', ['/bin/sh', '-c', `ulimit -f ${KIBIBYTES * 2}; exec "$@"`, 'sh']);
    const lines = await starved.ended;
    const committed = lines.filter((line) => line.startsWith('committed')).map((line) => Number(line.split(' ')[1]));
    const failed = lines.filter((line) => line.startsWith('failed'));
    expect(committed.length).toBeGreaterThan(10);
    expect(failed).toHaveLength(5);
    expect(new Set(failed).size, 'all fail for the same reason').toBe(1);
    expect(failed[0]).toMatch(/full|I\/O/);
    expect(lines.at(-1)).toBe(`read ${committed.at(-1)}`);

    const journal = createSqliteJournal({ dataDir });
    expect(await journal.open()).toEqual({ offset: committed.at(-1) });
    const stored = await everything(journal);
    await commit(journal, new EntrySource(stored.map(({ entry }) => entry)).batch(5, 'session:s1'));
    expect(chainOffence(await everything(journal))).toBeUndefined();
    await journal.close();
  });

  it('is open again in the same process as soon as there is room, and not before', async () => {
    const starved = start('again', ['/bin/sh', '-c', `ulimit -S -f ${KIBIBYTES * 2}; exec "$@"`, 'sh']);
    const before = Number((await starved.said('read')).split(' ')[1]);
    const allow = (bytes: string): void =>
      void execFileSync('/bin/sh', ['-c', `prlimit --pid ${starved.child.pid} --fsize=${bytes}:`]);
    // Starting the log anew makes room where the log was: that is not to be had either.
    allow('4096');
    starved.child.stdin?.write('again\n');
    expect(await starved.said('refused')).toMatch(
      /^refused \S+\/journal\.db (is on a full disk: make room there|[^:]*I\/O error\): look after the disk[^:]*), or [^\n]+$/,
    );
    const second = createSqliteJournal({ dataDir });
    await expect(second.open()).rejects.toThrow('in use');
    allow('unlimited');
    starved.child.stdin?.write('again\n');
    expect(await starved.said(`committed ${before + 17}`)).toBeDefined();
    const lines = await starved.ended;
    expect(lines.slice(-2)).toEqual([`opened ${before}`, `committed ${before + 17}`]);

    expect(await second.open()).toEqual({ offset: before + 17 });
    expect(chainOffence(await everything(second))).toBeUndefined();
    await second.close();
  });

  it('leaves nothing that looks like damage when the server is killed behind it', async () => {
    const starved = start('again', ['/bin/sh', '-c', `ulimit -f ${KIBIBYTES * 2}; exec "$@"`, 'sh']);
    const before = Number((await starved.said('read')).split(' ')[1]);
    starved.child.kill('SIGKILL');
    await starved.ended;
    const journal = createSqliteJournal({ dataDir });
    const { offset } = await journal.open();
    // What failed was never acknowledged, and may have been written whole.
    expect(offset).toBeGreaterThanOrEqual(before);
    expect(offset % 17, 'a batch was stored in part').toBe(0);
    expect(chainOffence(await everything(journal))).toBeUndefined();
    await journal.close();
  });
});
