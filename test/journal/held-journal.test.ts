import { describe, expect, it } from 'vitest';
import { JournalRefused } from '../../actors/ports.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import { commit, everything } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { createHeldJournal } from '../../src/testing/held-journal.ts';
import type { HeldJournal } from '../../src/testing/held-journal.ts';

async function opened(): Promise<{ journal: HeldJournal; results: string[]; append: (name: string) => Promise<void> }> {
  const journal = createHeldJournal(createMemoryJournal());
  await journal.open();
  const source = new EntrySource();
  const results: string[] = [];
  const append = (name: string): Promise<void> =>
    commit(journal, source.batch(1, 'server')).then(
      () => void results.push(`${name} done`),
      (error: Error) => void results.push(`${name} failed: ${error.message}`),
    );
  return { journal, results, append };
}

describe('a held journal', () => {
  it('commits what was appended when it is told to, one by one', async () => {
    const { journal, results, append } = await opened();
    const [first, second, third] = [append('first'), append('second'), append('third')];
    expect(journal.held.map((entries) => entries.map(({ offset }) => offset))).toEqual([[1], [2], [3]]);
    expect(await everything(journal)).toEqual([]);
    expect(await journal.head('server')).toBe(0);
    expect(results).toEqual([]);

    journal.release(1);
    await first;
    expect(results).toEqual(['first done']);
    expect(await journal.head('server')).toBe(1);
    expect(journal.held).toHaveLength(2);

    journal.release();
    await Promise.all([second, third]);
    expect(results).toEqual(['first done', 'second done', 'third done']);
  });

  it('lets everything pass, and holds again', async () => {
    const { journal, results, append } = await opened();
    const first = append('first');
    journal.pass();
    await Promise.all([first, append('second')]);
    journal.hold();
    const third = append('third');
    expect(results).toEqual(['first done', 'second done']);
    expect(journal.held).toHaveLength(1);
    journal.release();
    await third;
  });

  it('fails what waits and what comes, behind what was released, until it is opened again', async () => {
    const { journal, results, append } = await opened();
    const batches = [append('first'), append('second'), append('third')];
    journal.release(1);
    journal.fail(new Error('no disk'));
    batches.push(append('fourth'));
    await Promise.all(batches);
    expect(results).toEqual([
      'first done',
      'second failed: no disk',
      'third failed: no disk',
      'fourth failed: no disk',
    ]);
    expect(await everything(journal)).toHaveLength(1);

    expect(await journal.open()).toEqual({ offset: 1 });
    const next = commit(journal, new EntrySource(await entries(journal)).batch(1, 'server'));
    journal.release();
    await next;
    expect(await journal.head('server')).toBe(2);
  });

  it('fails the next batch when its turn comes, and none after it was opened again', async () => {
    const { journal, results, append } = await opened();
    const before = append('before');
    journal.failNext(new Error('full'));
    const batches = [before, append('planted'), append('behind')];
    expect(journal.held).toHaveLength(3);
    expect(results).toEqual([]);
    journal.release(2);
    await Promise.all(batches);
    expect(results).toEqual(['before done', 'planted failed: full', 'behind failed: full']);
    expect(await everything(journal)).toHaveLength(1);
    expect(await journal.open()).toEqual({ offset: 1 });
    journal.pass();
    await commit(journal, new EntrySource(await entries(journal)).batch(2, 'server'));
    expect(await everything(journal)).toHaveLength(3);
  });

  it('keeps failing, and refuses to open, until it is mended', async () => {
    const { journal } = await opened();
    journal.pass();
    journal.keepFailing(new Error('full'));
    journal.refuseToOpen(new JournalRefused('memory: make room'));
    const batch = new EntrySource().batch(1, 'server');
    await expect(commit(journal, batch)).rejects.toThrow('full');
    await expect(journal.open()).rejects.toThrow('memory: make room');
    expect(await everything(journal)).toEqual([]);
    journal.refuseToOpen(new JournalRefused('memory: still no room'));
    await expect(journal.open()).rejects.toThrow('still no room');
    journal.mend();
    await expect(commit(journal, batch)).rejects.toThrow('full');
    expect(await journal.open()).toEqual({ offset: 0 });
    await commit(journal, batch);

    journal.keepFailing(new Error('full again'));
    await expect(commit(journal, batch)).rejects.toThrow('full again');
    expect(await journal.open()).toEqual({ offset: 1 });
    await expect(commit(journal, batch)).rejects.toThrow('full again');
  });

  it('is as slow as it is told to be, in order', async () => {
    const { journal, results, append } = await opened();
    const commits: (() => void)[] = [];
    journal.delay((commitNow) => void commits.push(commitNow));
    const batches = [append('first'), append('second')];
    await Promise.resolve();
    expect([results.length, journal.held.length]).toEqual([0, 2]);
    for (const commitNow of commits) commitNow();
    await Promise.all(batches);
    expect(results).toEqual(['first done', 'second done']);
  });

  it.each([
    ['all', undefined, 3],
    ['some', 1, 2],
    ['none', 0, 1],
  ])(
    'dies with %s of what is under way committed, and says so when it is opened again',
    async (_what, count, stored) => {
      const { journal, results, append } = await opened();
      const inside = append('inside');
      journal.release();
      const batches = [inside, append('first'), append('second')];
      journal.die(new Error('thread ended'), count);
      await Promise.all([...batches, append('late')]);
      expect(results).toEqual(['inside', 'first', 'second', 'late'].map((name) => `${name} failed: thread ended`));
      for (const question of [journal.scan({ after: 0, limit: 1 }), journal.head('server'), journal.read(1)])
        await expect(question).rejects.toThrow('thread ended');
      expect(await journal.open()).toEqual({ offset: stored });
      expect(await everything(journal)).toHaveLength(stored);
    },
  );

  it('closes with all that was appended', async () => {
    const { journal, results, append } = await opened();
    const first = append('first');
    await journal.close();
    await first;
    expect(results).toEqual(['first done']);
  });
});

async function entries(journal: HeldJournal) {
  return (await everything(journal)).map(({ entry }) => entry);
}
