/**
 * The part of the journals' suite that is about failure: what becomes of batches behind one that failed, and of the journal
 * when it is opened again. What only a suite with faults can show is left out for the others.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../actors/entry.ts';
import { JournalRefused } from '../../../actors/ports.ts';
import { EntrySource, oneOfEach } from '../entry-source.ts';
import { commit, entriesOf, onFreshData } from '../journal-under-test.ts';
import type { JournalSuite } from '../journal-under-test.ts';

export function failure(suite: JournalSuite): void {
  describe('failure', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'every batch behind a failed one fails, in order, and none of them is stored',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const good = source.batch(2, 'server');
        const behind = new EntrySource(good);
        const results: string[] = [];
        const append = (name: string, entries: readonly Entry[]): void =>
          journal.append(entries, (error) => results.push(`${name} ${error === undefined ? 'done' : 'failed'}`));
        append('first', good);
        append('twice', good);
        append('third', behind.batch(2, 'server'));
        // A question in between makes no difference: what comes behind it would fit, and must not be stored.
        const asked = journal.head('server');
        append('fourth', new EntrySource(good).batch(1, 'server'));
        await commit(journal, []).catch(() => results.push('empty failed'));
        await commit(journal, new EntrySource(good).batch(1, 'server')).catch(() => results.push('late failed'));
        await asked;
        const failed = ['twice', 'third', 'fourth', 'empty', 'late'].map((name) => `${name} failed`);
        expect(results).toEqual(['first done', ...failed]);
        expect(await entriesOf(journal)).toEqual(good);
      }),
    );

    it(
      'an entry that is no JSON fails its batch, and append does not throw',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const good = source.batch(1, 'server');
        const circular: Record<string, unknown> = { type: 'message_end' };
        circular['message'] = circular;
        const bad = source.next('server', { ...oneOfEach['session.event'], content: { event: circular as never } });
        const results = await Promise.allSettled([
          commit(journal, good),
          commit(journal, [bad]),
          commit(journal, source.batch(1, 'server')),
        ]);
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
        expect(await entriesOf(journal)).toEqual(good);
      }),
    );

    it.each([
      ['closed and opened', true],
      ['opened', false],
    ])('ends when the journal is %s again, and nothing is missing', async (_what, closesFirst) => {
      await fresh(async (create) => {
        const journal = create();
        await journal.open();
        const stored = new EntrySource().batch(3, 'server', 'session:a');
        await commit(journal, stored);
        await expect(commit(journal, stored)).rejects.toThrow();
        if (closesFirst) await journal.close();
        expect(await journal.open()).toEqual({ offset: 3 });
        const more = new EntrySource(stored).batch(2, 'session:a', 'server');
        await commit(journal, more);
        expect(await entriesOf(journal)).toEqual([...stored, ...more]);
      })();
    });

    it(
      'reads go on behind a failure',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const stored = new EntrySource().batch(3, 'session:a');
        await commit(journal, stored);
        await expect(commit(journal, stored)).rejects.toThrow();
        expect(await entriesOf(journal)).toEqual(stored);
        expect((await journal.read(2))?.entry).toEqual(stored[1]);
        expect(await journal.head('session:a')).toBe(3);
      }),
    );
  });
  if (suite.faults !== undefined) openingAgain(suite, suite.faults);
}

function openingAgain(suite: JournalSuite, faults: NonNullable<JournalSuite['faults']>): void {
  describe('opening again', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'ends a failure that was mended, again and again, and counts what is stored',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const stored = source.batch(2, 'server', 'session:a');
        await commit(journal, stored);
        for (let round = 1; round <= 3; round += 1) {
          const batch = source.batch(2, 'session:a', `session:${round}`);
          const mend = faults.failAppends(journal);
          await expect(commit(journal, batch)).rejects.toThrow();
          await expect(commit(journal, batch)).rejects.toThrow();
          expect(await entriesOf(journal)).toEqual(stored);
          mend();
          expect(await journal.open()).toEqual({ offset: stored.length });
          await commit(journal, batch);
          stored.push(...batch);
        }
        expect(await entriesOf(journal)).toEqual(stored);
      }),
    );

    it(
      'is of no use before it was mended, and does no harm',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const batch = new EntrySource().batch(2, 'server', 'session:a');
        const mend = faults.failAppends(journal);
        await expect(commit(journal, batch)).rejects.toThrow();
        // Whether it notices before the next append is left to the journal.
        await journal.open().catch((error: unknown) => expect(error).toBeInstanceOf(JournalRefused));
        await expect(commit(journal, batch)).rejects.toThrow();
        mend();
        expect(await journal.open()).toEqual({ offset: 0 });
        await commit(journal, batch);
      }),
    );

    it(
      'is refused with a line for people, and leaves the journal failed and as readable as it was',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const stored = source.batch(3, 'server', 'session:a');
        await commit(journal, stored);
        const batch = source.batch(1, 'server');
        const mend = faults.failAppends(journal);
        await expect(commit(journal, batch)).rejects.toThrow();
        mend();
        const admit = faults.refuseOpening(journal);
        for (let tries = 0; tries < 2; tries += 1) {
          const refusal: unknown = await journal.open().catch((error: unknown) => error);
          expect(refusal).toBeInstanceOf(JournalRefused);
          expect((refusal as Error).message).toMatch(/^[^\n]+: [^\n]+$/);
          expect(await entriesOf(journal)).toEqual(stored);
          expect((await journal.read(2))?.entry).toEqual(stored[1]);
          expect(await journal.head('session:a')).toBe(1);
          await expect(commit(journal, batch)).rejects.toThrow();
        }
        admit();
        const heads = await Promise.all([journal.open(), journal.open()]);
        expect(heads).toEqual([{ offset: 3 }, { offset: 3 }]);
        await commit(journal, batch);
        await expect(journal.open()).rejects.toThrow(JournalRefused);
      }),
    );

    it(
      'finds out what is stored when the answers were lost, and lets nobody in meanwhile',
      fresh(async (create) => {
        const [journal, other] = [create(), create()];
        await journal.open();
        const source = new EntrySource();
        const stored = source.batch(3, 'server', 'session:a');
        await commit(journal, stored);
        const batches = [1, 2, 3, 4].map((count) => source.batch(count, 'session:a', 'session:b'));
        const answers: string[] = [];
        const answered = batches.map((batch, index) =>
          commit(journal, batch).then(
            () => answers.push(`${index} done`),
            () => answers.push(`${index} failed`),
          ),
        );
        await faults.die(journal);
        await Promise.all(answered);
        // Some may have been acknowledged before the end came; behind the first that was not, none is.
        const acknowledged = answers.filter((answer) => answer.endsWith('done')).length;
        const outcome = (index: number): string => (index < acknowledged ? 'done' : 'failed');
        expect(answers).toEqual([0, 1, 2, 3].map((index) => `${index} ${outcome(index)}`));
        for (const question of [journal.scan({ after: 0, limit: 9 }), journal.read(1), journal.head('server')])
          await expect(question).rejects.toThrow(/^[^\n]+$/);
        await expect(other.open()).rejects.toThrow('in use');

        const opening = journal.open();
        await expect(other.open()).rejects.toThrow('in use');
        const { offset } = await opening;
        const expected = [...stored, ...batches.flat()].slice(0, offset);
        expect(await entriesOf(journal)).toEqual(expected);
        expect([3, 4, 6, 9, 13], 'a batch was stored in part').toContain(offset);
        expect(offset, 'what was acknowledged is stored').toBeGreaterThanOrEqual([3, 4, 6, 9, 13][acknowledged]!);
        await commit(journal, new EntrySource(expected).batch(5, 'session:b', 'server'));
        await expect(other.open()).rejects.toThrow('in use');
        await journal.close();
        expect(await other.open()).toEqual({ offset: offset + 5 });
      }),
    );
  });
}
