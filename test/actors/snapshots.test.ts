/**
 * A snapshot saves folding, and changes nothing: from any place in a session's life it leads to what folding all entries leads
 * to. One that can't be trusted is passed over.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { ExpiredSessions } from '../../actors/expired-sessions.ts';
import { Host } from '../../actors/host.ts';
import type { Runtime } from '../../actors/runtime.ts';
import { chartHash } from '../../actors/chart-hash.ts';
import { evolveSource } from '../../actors/session/evolve.ts';
import { Session } from '../../actors/session/session.ts';
import { foldOf, snapshotOf } from '../../actors/session/snapshot.ts';
import { sessionMachine } from '../../machines/session.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';
import { limits } from '../support/world.ts';

const runtime = { host: new Host(createSimulatedClock()), limits, expired: new ExpiredSessions() } as Runtime;

function opened(id: string, entry: Entry): Session | undefined {
  if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') return undefined;
  const fact = entry.content.facts?.find(({ type }) => type === 'session.opened');
  return fact?.type === 'session.opened' ? new Session(runtime, id, fact.engine, () => undefined) : undefined;
}

/** As the journal would give it back, and made of it another session. */
function restored(session: Session, place: { offset: number; laneSeq: number }, queued: readonly number[]): Session {
  const { lane, id, state, snapshot } = session;
  const kept = snapshotOf(lane, { ...place, state: state!, chart: snapshot, queued }, limits);
  const fold = foldOf(kept, limits);
  if (typeof fold === 'string') throw new Error(fold);
  return new Session(runtime, id, fold.state.engine, () => undefined, fold);
}

it(
  'a session restored from a snapshot at any entry and folded on is the session folded from its first entry',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(scripts(40), fc.nat(), async (steps, place) => {
        const player = await ScriptPlayer.start();
        await player.play(steps);
        player.world.journal.pass();
        await player.world.settle();
        const entries = await entriesOf(player.world.store);
        for (const id of SESSIONS) {
          const own = entries.filter(({ lane }) => lane === `session:${id}`);
          const cut = own.length === 0 ? 0 : place % own.length;
          let whole: Session | undefined;
          let other: Session | undefined;
          const queued = new Set<number>();
          own.forEach((entry, index) => {
            whole = opened(id, entry) ?? whole;
            if (other !== undefined) other = opened(id, entry) ?? other;
            whole?.fold(entry);
            other?.fold(entry);
            if (entry.kind === 'command.accepted' && entry.mailbox === 'work') queued.add(entry.offset);
            if ('acceptedOffset' in entry) queued.delete(entry.acceptedOffset);
            const isThere = whole?.state !== undefined && whole.state.closed === null;
            if (index === cut && isThere) {
              const waiting = [...queued].filter((offset) => whole!.queues(offset));
              other = restored(whole!, { offset: entry.offset, laneSeq: entry.laneSeq }, waiting);
            }
          });
          if (other === undefined) continue;
          expect(other.state).toEqual(whole!.state);
          expect(other.snapshot).toEqual(whole!.snapshot);
        }
      }),
      { numRuns: 200 },
    );
  },
);

describe('a snapshot that can not be trusted', () => {
  const name = 'of the newest entry';

  async function sceneWithSnapshot(): Promise<Scene> {
    const scene = await createScene();
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name });
    await scene.world.advance(limits.passivationIdleMs * 2);
    expect(scene.world.system.live).toMatchObject({ sessions: 0, passive: 1 });
    return scene;
  }

  function alter({ world: { store } }: Scene, change: (body: Record<string, unknown>) => string): void {
    const kept = store.snapshots.get('session:s')!;
    store.snapshots.set('session:s', { ...kept, body: change(JSON.parse(kept.body) as Record<string, unknown>) });
  }

  it.each([
    ['of another chart', (body: object) => JSON.stringify({ ...body, chartHash: 'another' }), 'chartHash'],
    ['of another fold', (body: object) => JSON.stringify({ ...body, foldHash: 'another' }), 'foldHash'],
    ['of another version', (body: object) => JSON.stringify({ ...body, machineVersion: '0' }), 'machineVersion'],
    ['of another limit', (body: object) => JSON.stringify({ ...body, mailboxDepthMax: 7 }), 'mailboxDepthMax'],
    ['of another offset', (body: object) => JSON.stringify({ ...body, offset: 1 }), 'offset 1'],
    ['that is garbage', () => '{"form":', 'not JSON'],
    ['that is nothing', () => 'null', 'form'],
    ['with a chart of no state', (body: object) => JSON.stringify({ ...body, chart: { value: 'nowhere' } }), ''],
  ])('%s is passed over: the lane is folded again, and the log says so', async (_what, change, reason) => {
    const scene = await sceneWithSnapshot();
    alter(scene, change);
    await scene.send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(scene.response('r')).toMatchObject({ success: true, data: { sessionName: name, sessionVersion: 1 } });
    const line = { message: 'snapshot passed over: folding anew', reason: expect.stringContaining(reason) as string };
    expect(scene.world.observations).toContainEqual(expect.objectContaining(line));
  });

  it('beyond the end of the journal is passed over', async () => {
    const scene = await sceneWithSnapshot();
    const { snapshots } = scene.world.store;
    snapshots.set('session:s', { ...snapshots.get('session:s')!, offset: 999 });
    await scene.send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(scene.response('r')).toMatchObject({ success: true, data: { sessionName: name } });
  });
});

describe('while a session works', () => {
  it('one is kept every so many entries, and the rarer the longer its lane is', async () => {
    const { world, send } = await createScene({ limits: { snapshotEvery: 8 } });
    const places: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      await send({ type: 'set_session_name', sessionId: 's', name: `n${round}` });
      const kept = world.store.snapshots.get('session:s');
      const { laneSeq = 0 } = JSON.parse(kept?.body ?? '{}') as { laneSeq?: number };
      if (laneSeq > (places.at(-1) ?? 0)) places.push(laneSeq);
    }
    expect(places.slice(0, 4)).toEqual([9, 17, 25, 34]);
    const steps = places.map((place, index) => place - (places[index - 1] ?? 1));
    expect(steps.at(-1)).toBeGreaterThanOrEqual(places.at(-2)! / 4);
    expect(places.length).toBeLessThan(20);
  });

  it('it is never ahead of what is durable', async () => {
    const { world, send } = await createScene({ limits: { snapshotEvery: 2 } });
    world.journal.hold();
    for (let round = 0; round < 10; round += 1) {
      await send({ type: 'set_session_name', sessionId: 's', name: `n${round}` });
    }
    expect(world.store.snapshots.size).toBe(0);
    world.journal.pass();
    await world.settle();
    expect(world.store.snapshots.get('session:s')?.offset).toBeLessThanOrEqual(world.store.rows.length);
  });
});

describe('whose snapshot it is', () => {
  it('is another one when the structure of the chart changes, and not when its words for people do', () => {
    const { config } = sessionMachine;
    const described = { ...config, description: 'another text' };
    const changed = { ...config, states: { ...config.states, more: {} } };
    const of = (other: unknown) =>
      chartHash(Object.assign(Object.create(sessionMachine) as object, { config: other }) as never);
    expect(of(described)).toBe(chartHash(sessionMachine));
    expect(of(changed)).not.toBe(chartHash(sessionMachine));
  });

  it('is said by the text of every function that folds', () => {
    const source = readFileSync(new URL('../../actors/session/evolve.ts', import.meta.url), 'utf8');
    const functions = [...source.matchAll(/^(?:export )?function (\w+)/gm)].map(([, found]) => found!);
    const aside = ['evolveSource', 'closingEvents'];
    for (const found of functions.filter((one) => !aside.includes(one))) {
      expect(evolveSource()).toContain(`function ${found}(`);
    }
  });
});
