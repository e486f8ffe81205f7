/** The part of the journals' suite that is about reading: what comes back, in which order, and its hash chain. */
import { describe, expect, it } from 'vitest';
import { chainOffence } from '../chain-offence.ts';
import { EntrySource, oneOfEach } from '../entry-source.ts';
import { commit, entriesOf, everything, onFreshData } from '../journal-under-test.ts';
import type { JournalSuite } from '../journal-under-test.ts';

export function reading(suite: JournalSuite): void {
  describe('reading', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it.each(Object.values(oneOfEach).map((draft) => [draft.kind, draft] as const))(
      'gives back a %s as it was',
      async (_kind, draft) => {
        await fresh(async (create) => {
          const journal = create();
          await journal.open();
          const entry = new EntrySource().next('session:ü😀', draft);
          await commit(journal, [entry]);
          expect((await journal.read(1))?.entry).toStrictEqual(entry);
        })();
      },
    );

    it(
      'sees committed entries only, and all of them once they are done',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const good = source.batch(4, 'server');
        const bad = [source.next('session:a'), { ...source.next('server'), laneSeq: 1 }];
        const done: number[] = [];
        const seen = Promise.all(
          [good, bad].map((entries) => {
            journal.append(entries, (error) => error === undefined && done.push(entries.length));
            return Promise.all([journal.scan({ after: 0, limit: 10 }), journal.head('session:a'), journal.read(5)]);
          }),
        );
        for (const [page, head, uncommitted] of await seen) {
          expect([0, 4]).toContain(page.length);
          expect(head).toBe(0);
          expect(uncommitted).toBeUndefined();
        }
        expect(done).toEqual([4]);
        expect(await entriesOf(journal)).toEqual(good);
      }),
    );

    it(
      'pages in order, up to an empty page',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const stored = new EntrySource().batch(10, 'session:a', 'session:b', 'server');
        await commit(journal, stored);
        const offsets = async (after: number, limit: number, lane?: string): Promise<number[]> =>
          (await journal.scan({ after, limit, ...(lane !== undefined && { lane }) })).map(({ entry }) => entry.offset);
        expect(await offsets(0, 4)).toEqual([1, 2, 3, 4]);
        expect(await offsets(4, 4)).toEqual([5, 6, 7, 8]);
        expect(await offsets(8, 4)).toEqual([9, 10]);
        expect(await offsets(10, 4)).toEqual([]);
        expect(await offsets(99, 4)).toEqual([]);
        expect(await offsets(0, 2, 'session:a')).toEqual([1, 4]);
        expect(await offsets(4, 9, 'session:a')).toEqual([7, 10]);
        expect(await offsets(10, 9, 'session:a')).toEqual([]);
        expect(await offsets(0, 9, 'session:unknown')).toEqual([]);
      }),
    );

    it(
      'finds one entry, and the head of a lane',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const stored = new EntrySource().batch(5, 'session:a', 'session:b');
        await commit(journal, stored);
        expect((await journal.read(5))?.entry).toEqual(stored[4]);
        for (const offset of [-1, 0, 6]) expect(await journal.read(offset)).toBeUndefined();
        expect(await journal.head('session:a')).toBe(3);
        expect(await journal.head('session:b')).toBe(2);
        expect(await journal.head('session:unknown')).toBe(0);
      }),
    );

    it(
      'is refused while the journal is closed',
      fresh(async (create) => {
        const journal = create();
        const ask = (): Promise<unknown>[] => [
          journal.scan({ after: 0, limit: 1 }),
          journal.read(1),
          journal.head('server'),
        ];
        for (const question of ask()) await expect(question).rejects.toThrow('not open');
        await journal.open();
        await journal.close();
        for (const question of ask()) await expect(question).rejects.toThrow('not open');
      }),
    );
  });
}

export function chaining(suite: JournalSuite): void {
  describe('chain', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'hashes every lane from its first entry on, also over a new start, and knows the fingerprint of every command',
      fresh(async (create) => {
        const first = create();
        await first.open();
        const source = new EntrySource();
        for (const draft of Object.values(oneOfEach)) {
          await commit(first, [source.next('session:a', draft), source.next('session:b', draft)]);
        }
        await first.close();
        const second = create();
        await second.open();
        await commit(second, source.batch(6, 'session:b', 'session:a', 'session:c'));
        const stored = await everything(second);
        expect(stored).toHaveLength(2 * Object.keys(oneOfEach).length + 6);
        expect(chainOffence(stored)).toBeUndefined();
        const commands = stored.filter(({ entry }) => 'command' in entry.content);
        expect(commands.every(({ fingerprint }) => /^[0-9a-f]{64}$/.test(fingerprint ?? ''))).toBe(true);
      }),
    );
  });
}
