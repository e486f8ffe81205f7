/** The end of the thread that owns the database: everybody who waits for it gets an answer. */
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JournalRefused } from '../../actors/ports.ts';
import type { Journal } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit, everything } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

let folder: string;
let journal: Journal;
let thread: Worker;

const remember = (worker: Worker): void => {
  thread = worker;
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-thread-'));
  process.on('worker', remember);
  journal = createSqliteJournal({ dataDir: join(folder, 'data') });
  await journal.open();
});

afterEach(async () => {
  process.off('worker', remember);
  await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('when the thread of the journal dies', () => {
  it('all that waits fails in order, what comes later fails too, and a new start finds what was done', async () => {
    const stored = new EntrySource().batch(3, 'server', 'session:a');
    await commit(journal, stored);

    const source = new EntrySource(stored);
    const results: string[] = [];
    const ended = thread.terminate();
    const batches = [1, 2, 3].map((index) =>
      commit(journal, source.batch(1, 'server')).catch((error: Error) => results.push(`${index}: ${error.message}`)),
    );
    const questions = [journal.scan({ after: 0, limit: 1 }), journal.head('server'), journal.read(1)];
    const answers = await Promise.allSettled([...questions]);
    await Promise.all(batches);
    await ended;
    expect(results).toEqual([1, 2, 3].map((index) => `${index}: the thread of the journal ended`));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);

    await expect(commit(journal, source.batch(1, 'server'))).rejects.toThrow('the thread of the journal ended');
    await expect(journal.head('server')).rejects.toThrow('the thread of the journal ended');
    expect(await journal.open()).toEqual({ offset: 3 });
    expect((await everything(journal)).map(({ entry }) => entry)).toEqual(stored);
  });

  it('and nobody writes, who watches is told, once; when it was closed or a batch says so, by nobody else', async () => {
    const told: string[] = [];
    journal.watch?.(({ message }) => told.push(message));
    await thread.terminate();
    expect(told).toEqual(['the thread of the journal ended']);
    await expect(journal.head('server')).rejects.toThrow('the thread of the journal ended');
    await journal.open();
    const lost = commit(journal, new EntrySource().batch(1, 'server')).catch(() => undefined);
    await thread.terminate();
    await lost;
    await journal.close();
    await journal.open();
    await journal.close();
    expect(told).toHaveLength(1);
  });

  it('while it opens the journal, open says so', async () => {
    await journal.close();
    process.once('worker', (worker) => void worker.terminate());
    await expect(journal.open()).rejects.toThrow('the thread of the journal ended');
    expect(await journal.open()).toEqual({ offset: 0 });
  });

  it('while it opens the journal again, open says what to do, and the next try succeeds', async () => {
    await thread.terminate();
    process.once('worker', (worker) => void worker.terminate());
    const refusal: unknown = await journal.open().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(JournalRefused);
    expect((refusal as Error).message).toBe(
      `${journal.location} cannot be opened (the thread of the journal ended): start the server again`,
    );
    await expect(journal.head('server')).rejects.toThrow('the thread of the journal ended');
    expect(await journal.open()).toEqual({ offset: 0 });
  });

  it('a journal that is closed while it opens again is closed', async () => {
    await thread.terminate();
    const opening = journal.open();
    await journal.close();
    expect(await opening).toEqual({ offset: 0 });
    await expect(journal.head('server')).rejects.toThrow('not open');
    const other = createSqliteJournal({ dataDir: join(folder, 'data') });
    expect(await other.open()).toEqual({ offset: 0 });
    await other.close();
  });

  it('close does not wait for it', async () => {
    await thread.terminate();
    await journal.close();
  });
});

describe('a journal that failed', () => {
  it('is not opened again on another file, and tells so', async () => {
    const stored = new EntrySource().batch(3, 'server');
    await commit(journal, stored);
    await expect(commit(journal, stored)).rejects.toThrow('does not continue');
    const file = journal.location;
    renameSync(file, `${file}.aside`);
    await expect(journal.open()).rejects.toThrow(`${file} is not the file any more that it was: stop the server, `);
    copyFileSync(`${file}.aside`, file);
    await expect(journal.open()).rejects.toThrow('is not the file any more');
    expect(await everything(journal)).toHaveLength(3);
    renameSync(`${file}.aside`, file);
    expect(await journal.open()).toEqual({ offset: 3 });
  });
});
