/** Random batches, good and bad, over restarts: whatever happens, the journal holds what a plain list would. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';
import { chainOffence } from '../../src/testing/chain-offence.ts';
import { commit, everything, onFreshData } from '../../src/testing/journal-under-test.ts';
import type { JournalSuite } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { arbitraryDraft } from './arbitrary-entry.ts';

type Drafts = readonly (readonly [lane: string, draft: EntryDraft])[];

type Step =
  | { readonly do: 'append'; readonly batches: readonly Drafts[] }
  /** A batch whose last entry is at the wrong place in its lane; then the journal is opened again. */
  | { readonly do: 'misplace'; readonly drafts: Drafts; readonly by: -1 | 1 }
  | { readonly do: 'reopen' };

const LANES = ['server', 'session:a', 'session:b', 'session:ż'];
const drafts: fc.Arbitrary<Drafts> = fc.array(fc.tuple(fc.constantFrom(...LANES), arbitraryDraft), { maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('append' as const), batches: fc.array(drafts, { maxLength: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('misplace' as const), drafts, by: fc.constantFrom(-1, 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
);

export function journalEqualsModel(suite: JournalSuite): void {
  describe(`journal ${suite.name}`, () => {
    it('holds what a list would hold, after any batches and restarts', { timeout: 60_000 }, async () => {
      const property = fc.asyncProperty(fc.array(step, { maxLength: 8 }), (steps) =>
        onFreshData(suite, (create) => play(steps, create))(),
      );
      // A durable journal takes long to open; what it does between is tried more often in sqlite-entries.test.ts.
      await fc.assert(property, { numRuns: suite.durable ? 8 : 50 });
    });
  });
}

async function play(steps: readonly Step[], create: () => Journal): Promise<void> {
  const model: Entry[] = [];
  let journal = create();
  await journal.open();
  for (const each of steps) {
    const source = new EntrySource(model);
    const entriesOf = (drafts: Drafts): Entry[] => drafts.map(([lane, draft]) => source.next(lane, draft));
    if (each.do === 'append') {
      const batches = each.batches.map(entriesOf);
      await Promise.all(batches.map((entries) => commit(journal, entries)));
      model.push(...batches.flat());
      continue;
    }
    if (each.do === 'misplace') {
      const entries = entriesOf(each.drafts);
      const last = source.next('server');
      const batch = [...entries, { ...last, laneSeq: last.laneSeq + each.by }];
      await expect(commit(journal, batch)).rejects.toThrow('does not continue');
    }
    await journal.close();
    journal = create();
    expect(await journal.open()).toEqual({ offset: model.length });
  }
  await expectEqual(journal, model);
}

async function expectEqual(journal: Journal, model: readonly Entry[]): Promise<void> {
  const stored = await everything(journal);
  expect(stored.map(({ entry }) => entry)).toEqual(model);
  expect(chainOffence(stored)).toBeUndefined();
  for (const lane of LANES) {
    const expected = model.filter((entry) => entry.lane === lane);
    expect((await everything(journal, lane)).map(({ entry }) => entry)).toEqual(expected);
    expect(await journal.head(lane)).toBe(expected.length);
  }
}
