/** The part of the journals' suite that is about what is derived from entries: snapshots of lanes and checkpoints. */
import { describe, expect, it } from 'vitest';
import type { Journal } from '../../../actors/ports.ts';
import { EntrySource } from '../entry-source.ts';
import { commit, entriesOf, onFreshData } from '../journal-under-test.ts';
import type { JournalSuite } from '../journal-under-test.ts';

/** Settles when what was to be kept before it is, or was not. */
async function kept(journal: Journal, lane: string): Promise<void> {
  await journal.snapshot(lane).catch(() => undefined);
}

export function derived(suite: JournalSuite): void {
  describe('what is derived', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'keeps the newest snapshot of each lane, for the next journal too',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        await commit(journal, new EntrySource().batch(4, 'session:a', 'session:b'));
        expect(await journal.snapshot('session:a')).toBeUndefined();
        const failed: Error[] = [];
        const newest = { lane: 'session:a', offset: 3, body: '{"text":"ü😀"}' };
        for (const snapshot of [{ ...newest, offset: 1 }, newest, { ...newest, lane: 'session:b', offset: 2 }]) {
          journal.keepSnapshot(snapshot, (error) => failed.push(error));
        }
        await kept(journal, 'session:b');
        expect(await journal.snapshot('session:a')).toEqual(newest);
        await journal.close();
        const next = create();
        await next.open();
        expect(await next.snapshot('session:a')).toEqual(newest);
        expect(await next.snapshot('session:b')).toMatchObject({ offset: 2 });
        expect(failed).toEqual([]);
      }),
    );

    it.each([
      ['beyond the end', 9],
      ['of another lane', 2],
    ])('a snapshot that stands for an entry %s can not be had', async (_where, offset) => {
      await fresh(async (create) => {
        const journal = create();
        await journal.open();
        await commit(journal, new EntrySource().batch(4, 'session:a', 'session:b'));
        journal.keepSnapshot({ lane: 'session:a', offset, body: '{}' }, () => undefined);
        await kept(journal, 'session:a');
        await expect(journal.snapshot('session:a')).rejects.toThrow(`offset ${offset}`);
        expect(await entriesOf(journal)).toHaveLength(4);
      })();
    });

    it(
      'finds checkpoints once they are sealed, the newest two, part by part',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        await commit(journal, new EntrySource().batch(9, 'server', 'session:a'));
        const bytes = (byte: number) => new Uint8Array(300_000).fill(byte);
        for (const offset of [2, 5, 7]) {
          await journal.keepPart(offset, 1, bytes(offset));
          await journal.keepPart(offset, 2, bytes(offset + 1));
          expect((await journal.checkpoints()).map((head) => head.offset)).not.toContain(offset);
          await journal.sealCheckpoint({ offset, header: `{"of":${offset}}`, parts: 2 });
        }
        // Nobody sealed it.
        await journal.keepPart(8, 1, bytes(8));
        await journal.close();
        const next = create();
        await next.open();
        expect(await next.checkpoints()).toEqual([
          { offset: 7, header: '{"of":7}', parts: 2 },
          { offset: 5, header: '{"of":5}', parts: 2 },
        ]);
        expect(Buffer.from(await next.checkpointPart(7, 2)).equals(Buffer.from(bytes(8)))).toBe(true);
        await expect(next.checkpointPart(2, 1)).rejects.toThrow('part 1');
      }),
    );

    it(
      'reads on from a checkpoint, and appends behind what it read',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const source = new EntrySource();
        const before = source.batch(5, 'server', 'session:a');
        await commit(journal, before);
        await journal.sealCheckpoint({ offset: 5, header: '{}', parts: 0 });
        const behind = source.batch(4, 'session:a', 'session:b');
        await commit(journal, behind);
        await journal.close();
        const next = create();
        await next.open();
        expect((await next.scan({ after: 5, limit: 10 })).map(({ entry }) => entry)).toEqual(behind);
        const more = source.batch(2, 'session:a');
        await commit(next, more);
        expect(await entriesOf(next)).toEqual([...before, ...behind, ...more]);
      }),
    );

    it(
      'reads on from checkpoint after checkpoint, although single entries were read first: also the one behind an older checkpoint',
      fresh(async (create) => {
        const source = new EntrySource();
        for (let boot = 1, head = 0; boot <= 4; boot += 1) {
          const journal = create();
          await journal.open();
          const checkpoints = await journal.checkpoints();
          for (const { offset } of checkpoints.toReversed()) await journal.read(offset + 1);
          const from = checkpoints[0]?.offset ?? 0;
          const tail = await journal.scan({ after: from, limit: 100 });
          expect(tail).toHaveLength(head - from);
          await commit(journal, source.batch(6, 'server', 'session:a', 'session:b'));
          head += 6;
          await journal.sealCheckpoint({ offset: head - 2, header: '{}', parts: 0 });
          await commit(journal, source.batch(3, 'session:b', 'session:a'));
          head += 3;
          await journal.close();
        }
      }),
    );
  });
}
