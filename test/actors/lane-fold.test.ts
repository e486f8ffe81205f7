/** Looking back: what a journal lane alone says of a session at any place is what was live there. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import type { SessionPicture } from '../../actors/message.ts';
import { pictureAt, pictureOf } from '../../actors/session/lane-fold.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { foldSessions } from '../support/fold.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { limits } from '../support/world.ts';

const { mailboxDepthMax } = limits;

async function look(store: MemoryStore, id: string, at: { epoch?: string; seq?: number } = {}) {
  const journal = createMemoryJournal({ store: copyStore(store) });
  await journal.open();
  return pictureAt(journal, id, { ...at, mailboxDepthMax });
}

/** By its events' numbers: the place behind the entry that holds each, in the newest incarnation. */
function placesOf(entries: readonly Entry[], id: string, epoch: string): Map<number, number> {
  const places = new Map<number, number>();
  let inside = false;
  let seq = 0;
  for (const entry of entries) {
    if (entry.lane !== `session:${id}`) continue;
    const settled = entry.kind === 'command.settled' || entry.kind === 'command.finished';
    for (const fact of settled ? (entry.content.facts ?? []) : []) {
      if (fact.type !== 'session.opened') continue;
      inside = fact.epoch === epoch;
      seq = 0;
      if (inside) places.set(0, entry.offset);
    }
    if (!inside || !('seq' in entry) || entry.seq === undefined) continue;
    for (; seq < entry.seq; seq += 1) places.set(seq + 1, entry.offset);
  }
  return places;
}

describe('the fold of one lane', () => {
  it(
    'is what is live, wherever a script stands, and at every event what it was then',
    { timeout: 120_000 },
    async () => {
      let looked = 0;
      await fc.assert(
        fc.asyncProperty(scripts(40), async (steps) => {
          const player = await ScriptPlayer.start();
          await player.play(steps);
          player.world.journal.pass();
          await player.world.settle();
          const { store, system } = player.world;
          const entries = await entriesOf(store);
          for (const id of SESSIONS) {
            const live = system.session(id);
            if (live?.state === undefined) continue;
            expect(await look(store, id)).toEqual(pictureOf(live.state, live.snapshot));
            for (const [seq, place] of placesOf(entries, id, live.state.epoch)) {
              const then = foldSessions(entries.slice(0, place)).get(id)!;
              expect(await look(store, id, { seq })).toEqual(pictureOf(then.state!, then.snapshot));
              looked += 1;
            }
          }
        }),
        { numRuns: 60 },
      );
      expect(looked).toBeGreaterThan(100);
    },
  );

  it('tells incarnations of one id apart, and shows one that is closed', async () => {
    const { send, world } = await createScene();
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'old' });
    const { epoch } = world.system.session('s')!.state!;
    await send(
      { type: 'delete_session', id: 'd', sessionId: 's' },
      { type: 'create_session', id: 'c', sessionId: 's' },
      { type: 'set_session_name', id: 'n2', sessionId: 's', name: 'new' },
      { type: 'set_session_name', id: 'n3', sessionId: 's', name: 'newer' },
    );
    const newest = (await look(world.store, 's')) as SessionPicture;
    expect(newest).toMatchObject({ seq: 2, context: { name: 'newer', closed: null }, value: { active: 'idle' } });
    expect(await look(world.store, 's', { seq: 1 })).toMatchObject({ context: { name: 'new' } });
    expect(await look(world.store, 's', { epoch })).toMatchObject({
      seq: 1,
      epoch,
      value: 'closed',
      context: { name: 'old', closed: 'deleted' },
    });
    expect(await look(world.store, 's', { epoch, seq: 0 })).toMatchObject({ context: { name: null, version: 0 } });
  });

  it('finds a session by the epoch that a restore gave it, too', async () => {
    const { send, world } = await createScene();
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
    const first = world.system.session('s')!.state!.epoch;
    const store = copyStore(world.store);
    const journal = createMemoryJournal({ store });
    const { offset } = await journal.open();
    const laneSeq = (await journal.head('session:s')) + 1;
    const place = { offset: offset + 1, lane: 'session:s', laneSeq, at: 1 };
    const restored: Entry = { ...place, kind: 'session.restored', sessionId: 's', epoch: 'second', content: {} };
    await new Promise<void>((done) => journal.append([restored], () => done()));
    for (const epoch of [first, 'second']) {
      expect(await pictureAt(journal, 's', { epoch, mailboxDepthMax })).toMatchObject({ epoch: 'second', seq: 1 });
      expect(await pictureAt(journal, 's', { epoch, seq: 1, mailboxDepthMax })).toMatchObject({ epoch: first, seq: 1 });
    }
  });

  it('says what is not there', async () => {
    const { world } = await createScene();
    expect(await look(world.store, 'nobody')).toEqual({ missing: 'session' });
    expect(await look(world.store, 's', { epoch: 'another' })).toEqual({ missing: 'epoch' });
    expect(await look(world.store, 's', { seq: 1 })).toEqual({ missing: 'seq', headSeq: 0 });
  });

  it('counts work that was accepted before the session was there', async () => {
    const { send, prompt, world, engine } = await createScene();
    await prompt('p');
    await send(
      { type: 'create_session', id: 'c', sessionId: 'late', dependsOn: ['p'] },
      { type: 'prompt', id: 'first', sessionId: 'late', message: 'x' },
      { type: 'prompt', id: 'second', sessionId: 'late', message: 'y' },
    );
    engine.turn.finish();
    await world.settle();
    const live = world.system.session('late')!;
    expect(live.state!.turn).not.toBeNull();
    const found = await look(world.store, 'late');
    expect(found).toEqual(pictureOf(live.state!, live.snapshot));
    expect(await look(world.store, 'late', { seq: 0 })).toMatchObject({ value: { active: { busy: 'waiting' } } });
  });
});
