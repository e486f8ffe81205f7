import { describe, expect, it } from 'vitest';
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
