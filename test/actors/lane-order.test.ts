/** What the journal holds of each lane, whatever was asked, in whatever order it became durable, over restarts in the middle. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { createMemoryStore } from '../../src/journal/memory.ts';
import { audit } from '../support/audit.ts';
import { ScriptPlayer, scripts } from '../support/random-script.ts';
import { entryProblems } from '../support/script-checks.ts';
import { copyStore, createWatchedJournal, entriesOf } from '../support/store.ts';
import { limits } from '../support/world.ts';

/** One script each, on what the crash of the one before it left: its journal up to one of the commits, and sessions that rest. */
async function live(lives: readonly (readonly [Parameters<ScriptPlayer['play']>[0], number])[]) {
  let store = createMemoryStore();
  for (const [index, [steps, where]] of lives.entries()) {
    const journal = createWatchedJournal(store);
    const player = await ScriptPlayer.start({ store, journal });
    await player.play(steps);
    await player.play([{ do: 'wait', ms: limits.passivationIdleMs * 2 }]);
    if (index === lives.length - 1) {
      await player.finish();
      return { player, store };
    }
    store = copyStore(store, journal.commits[where % journal.commits.length] ?? 0);
  }
  throw new Error('no life at all');
}

function byLane(entries: readonly Entry[]): Map<string, Entry[]> {
  const lanes = new Map<string, Entry[]>();
  for (const entry of entries) lanes.set(entry.lane, [...(lanes.get(entry.lane) ?? []), entry]);
  return lanes;
}

it('Journal entries are strictly ordered per lane', { timeout: 180_000 }, async () => {
  const aLife = fc.tuple(scripts(20), fc.nat());
  await fc.assert(
    fc.asyncProperty(fc.array(aLife, { minLength: 1, maxLength: 3 }), async (lives) => {
      const { player, store } = await live(lives);
      const entries = await entriesOf(store);
      expect(entries.map(({ offset }) => offset)).toEqual(entries.map((_, index) => index + 1));
      for (const lane of byLane(entries).values()) {
        expect(lane.map(({ laneSeq }) => laneSeq)).toEqual(lane.map((_, index) => index + 1));
      }
      expect(await player.world.journal.verify(entries.length)).toMatchObject({ ok: true });
      // And in this order the commands of a lane had their effect. Ids are counted anew in each life.
      const once = player.sent.filter(({ id }) => !player.repeated.has(id));
      expect(lives.length === 1 ? entryProblems(entries, once) : audit(entries).open).toEqual([]);
    }),
    { numRuns: 150 },
  );
});
