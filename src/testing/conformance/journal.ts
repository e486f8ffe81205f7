/**
 * One suite for every journal: what the Journal port promises, as tests. What two journals share is a directory, which a
 * journal may map to whatever it keeps its data in.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../actors/entry.ts';
import { JournalRefused } from '../../../actors/ports.ts';
import { EntrySource, renamed } from '../entry-source.ts';
import { commit, entriesOf, onFreshData } from '../journal-under-test.ts';
import type { JournalSuite } from '../journal-under-test.ts';
import { blanking } from './journal-blanking.ts';
import { derived } from './journal-derived.ts';
import { failure } from './journal-failure.ts';
import { chaining, reading } from './journal-reading.ts';

/** Defines the tests of a journal, in the test file that calls it. */
export function journalConformance(suite: JournalSuite): void {
  describe(`journal ${suite.name} keeps the port's promises:`, () => {
    order(suite);
    durability(suite);
    fencing(suite);
    failure(suite);
    reading(suite);
    derived(suite);
    exclusivity(suite);
    blanking(suite);
    chaining(suite);
  });
}

function order(suite: JournalSuite): void {
  describe('order', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'calls done once per batch, in the order of append',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const calls: number[] = [];
        const count = 200;
        await new Promise<void>((resolve) => {
          for (let index = 0; index < count; index += 1) {
            // Batches of no entry are batches as well.
            journal.append(source.batch(index % 4, 'server', 'session:a'), () => {
              calls.push(index);
              if (index === count - 1) resolve();
            });
          }
        });
        await journal.close();
        expect(calls).toEqual(Array.from({ length: count }, (_, index) => index));
      }),
    );

    it(
      'never calls done from inside append, whether the batch is good, bad or late',
      fresh(async (create) => {
        const journal = create();
        const source = new EntrySource();
        const good = source.batch(1, 'server');
        let inside = false;
        const calledInside: string[] = [];
        const appendAs = (name: string, entries: readonly Entry[]): Promise<void> =>
          new Promise((resolve) => {
            inside = true;
            journal.append(entries, () => {
              if (inside) calledInside.push(name);
              resolve();
            });
            inside = false;
          });
        await appendAs('before open', good);
        await journal.open();
        await appendAs('good', good);
        await appendAs('bad', good);
        await appendAs('behind a failure', source.batch(1, 'server'));
        await journal.close();
        await appendAs('closed', good);
        expect(calledInside).toEqual([]);
      }),
    );

    it(
      'commits a batch whole or not at all',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const whole = source.batch(3, 'server', 'session:a', 'session:b');
        await commit(journal, whole);
        const torn = [...source.batch(2, 'session:a', 'session:c'), { ...source.next('session:b'), laneSeq: 9 }];
        await expect(commit(journal, torn)).rejects.toThrow();
        expect(await entriesOf(journal)).toEqual(whole);
        expect(await journal.head('session:c')).toBe(0);
      }),
    );
  });
}

function durability(suite: JournalSuite): void {
  describe('durability', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'is declared',
      fresh(async (create) => {
        const journal = create();
        expect(journal.durability).toBe(suite.durable ? 'durable' : 'volatile');
        expect(journal.location).not.toBe('');
      }),
    );

    it(
      'what was done is there for the next journal, which goes on behind it',
      fresh(async (create) => {
        const first = create();
        expect(await first.open()).toEqual({ offset: 0 });
        const source = new EntrySource();
        const before = source.batch(5, 'server', 'session:a');
        await commit(first, before);
        await first.close();

        const second = create();
        expect(await second.open()).toEqual({ offset: 5 });
        const after = source.batch(5, 'session:a', 'session:b');
        await commit(second, after);
        expect(await entriesOf(second)).toEqual([...before, ...after]);
      }),
    );
  });
}

function fencing(suite: JournalSuite): void {
  describe('fencing', () => {
    const fresh = onFreshData.bind(undefined, suite);
    const next = { offset: 4, lane: 'session:a', laneSeq: 3 };

    it.each([
      ['an offset that is taken', { ...next, offset: 3 }],
      ['an offset that leaves a hole', { ...next, offset: 5 }],
      ['a laneSeq that is taken', { ...next, laneSeq: 2 }],
      ['a laneSeq that leaves a hole', { ...next, laneSeq: 4 }],
      ['a new lane that does not begin with 1', { ...next, lane: 'session:new', laneSeq: 2 }],
    ])('refuses %s, and keeps what went before', async (_what, place) => {
      await fresh(async (create) => {
        const journal = create();
        await journal.open();
        const stored = new EntrySource().batch(3, 'session:a', 'server');
        const results = await Promise.allSettled([
          commit(journal, stored),
          commit(journal, [{ ...renamed('c-4'), ...place, at: 4 }]),
        ]);
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
        expect(await entriesOf(journal)).toEqual(stored);
      })();
    });

    it(
      'refuses a writer that did not see what another one wrote meanwhile',
      fresh(async (create) => {
        const first = create();
        await first.open();
        const source = new EntrySource();
        const seen = source.batch(2, 'server');
        await commit(first, seen);
        await first.close();

        const second = create();
        await second.open();
        const unseen = source.batch(1, 'session:a');
        await commit(second, unseen);
        await second.close();

        await first.open();
        await expect(commit(first, new EntrySource(seen).batch(1, 'session:b'))).rejects.toThrow('does not continue');
        expect(await entriesOf(first)).toEqual([...seen, ...unseen]);
      }),
    );
  });
}

function exclusivity(suite: JournalSuite): void {
  describe('exclusive', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'a second open is refused until close, and does the first no harm',
      fresh(async (create) => {
        const [first, second] = [create(), create()];
        await first.open();
        await expect(second.open()).rejects.toThrow(JournalRefused);
        await expect(first.open()).rejects.toThrow(JournalRefused);
        await second.close();
        await expect(second.open()).rejects.toThrow('in use');
        await commit(first, new EntrySource().batch(1, 'server'));
        await first.close();
        expect(await second.open()).toEqual({ offset: 1 });
      }),
    );

    it(
      'close waits for what was appended, takes nothing more, and may be called again',
      fresh(async (create) => {
        const journal = create();
        await journal.close();
        await journal.open();
        const source = new EntrySource();
        const results: string[] = [];
        const append = (name: string, entries: readonly Entry[]): Promise<void> =>
          commit(journal, entries).then(
            () => void results.push(`${name} done`),
            () => void results.push(`${name} failed`),
          );
        const appended = [append('first', source.batch(50, 'server')), append('second', source.batch(50, 'session:a'))];
        const closed = Promise.all([journal.close(), journal.close()]).then(() => results.push('closed'));
        const late = append('late', source.batch(1, 'server'));
        await Promise.all([...appended, closed, late]);
        expect(results.slice(0, 2)).toEqual(['first done', 'second done']);
        expect(results.slice(2).sort()).toEqual(['closed', 'late failed']);
        await journal.close();
        expect(await journal.open()).toEqual({ offset: 100 });
      }),
    );
  });
}
