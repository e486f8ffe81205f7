/** What compaction drops is missed by nobody: folding what is left gives what folding all of it gives, and verify proves the rest. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, StoredEntry } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';
import { pictureAt } from '../../actors/session/lane-fold.ts';
import { auditSnapshot } from '../../actors/session/snapshot-audit.ts';
import { noSchedule } from '../../actors/upkeep.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import type { Step } from '../support/random-script.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, derivedOf } from '../support/store.ts';
import { createWorld, limits } from '../support/world.ts';
import type { World } from '../support/world.ts';

async function compact(world: World): Promise<{ lanes: number; entries: number }> {
  const client = world.connect();
  client.send({ type: 'compact_journal', id: `compact-${Math.random()}` });
  await world.settle();
  for (let tries = 0; tries < 20 && client.responses().length === 0; tries += 1) await world.settle();
  const [response] = client.responses();
  expect(response).toMatchObject({ success: true });
  client.leave();
  return response!['data'];
}

async function stored(store: MemoryStore): Promise<StoredEntry[]> {
  const journal = createMemoryJournal({ store: copyStore(store) });
  await journal.open();
  return journal.scan({ after: 0, limit: Number.MAX_SAFE_INTEGER });
}

/** All of it, also what was dropped since `before`. */
function whole(before: MemoryStore, after: MemoryStore): MemoryStore {
  const all = copyStore(after);
  all.rows.forEach((row, index) => {
    if (row === undefined) all.rows[index] = before.rows[index];
  });
  all.anchors.clear();
  all.remains.clear();
  return all;
}

async function readerOf(store: MemoryStore) {
  const entries = await stored(store);
  return {
    scan: async ({ after, limit, lane }: { after: number; limit: number; lane?: string }) =>
      entries.filter(({ entry }) => entry.offset > after && entry.lane === lane).slice(0, limit),
    read: async (offset: number) => entries.find(({ entry }) => entry.offset === offset),
  };
}

async function pictures(store: MemoryStore): Promise<unknown[]> {
  const reader = await readerOf(store);
  return Promise.all(SESSIONS.map((id) => pictureAt(reader, id, { mailboxDepthMax: limits.mailboxDepthMax })));
}

async function verified(store: MemoryStore) {
  const copy = copyStore(store);
  const journal = createMemoryJournal({ store: copy });
  await journal.open();
  return journal.verify(copy.rows.length);
}

const isOver = (picture: unknown): boolean => {
  const { missing, context } = picture as { missing?: string; context?: { closed: string | null } };
  return missing === 'session' || (context !== undefined && context.closed !== null);
};

/** What may happen between two compactions. */
type Act =
  | { readonly do: 'play'; readonly steps: Step[] }
  | { readonly do: 'purge'; readonly session: number }
  | { readonly do: 'rest' | 'expire' | 'kill' | 'compact' };

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('play' as const), steps: scripts(20) }) },
    { weight: 4, arbitrary: fc.constant({ do: 'compact' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), session: fc.nat(SESSIONS.length - 1) }) },
    { weight: 2, arbitrary: fc.constantFrom({ do: 'rest' as const }, { do: 'kill' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'expire' as const }) },
  ),
  { minLength: 2, maxLength: 8, size: 'max' },
);

const HOUR = 3_600_000;
const lease = { baseMs: 4 * HOUR, extensionMs: HOUR, extensionsMax: 2, thresholdMs: HOUR / 2 };

/** Plays, and keeps all that was ever stored. */
class Chronicle {
  player: ScriptPlayer;
  all: MemoryStore = createMemoryStore();
  dropped = 0;
  #boots = 1;

  private constructor(player: ScriptPlayer) {
    this.player = player;
  }

  static async begin(): Promise<Chronicle> {
    return new Chronicle(await ScriptPlayer.start({ limits: { lease } }));
  }

  get store(): MemoryStore {
    return this.player.world.store;
  }

  async act(act: Act): Promise<void> {
    await this.#act(act);
    this.player.world.journal.pass();
    await this.player.world.settle();
    this.all = whole(this.all, this.store);
  }

  async #act(act: Act): Promise<void> {
    const { world } = this.player;
    switch (act.do) {
      case 'play':
        return this.player.play(act.steps);
      case 'purge':
        this.player.client.send({ type: 'purge_session', sessionId: SESSIONS[act.session]! });
        return;
      case 'rest':
        return world.advance(2 * limits.passivationIdleMs);
      case 'expire':
        return world.advance(8 * HOUR);
      case 'compact':
        this.dropped += (await compact(world)).entries;
        return;
      case 'kill':
        // With the snapshots and checkpoints that there were.
        this.player = await ScriptPlayer.start({
          store: copyStore(world.store, undefined, true),
          clock: createSimulatedClock(world.clock.now()),
          limits: { lease },
          prefix: `boot ${(this.#boots += 1)} `,
        });
        return;
      default:
        act satisfies never;
    }
  }
}

/** Folding what is left gives what folding all gives, and verify proves it. */
async function expectSame({ all, store }: Chronicle): Promise<void> {
  const everything = await pictures(all);
  const left = await pictures(store);
  everything.forEach((picture, index) => {
    // Of a session that is over nothing but the end is kept.
    if (isOver(picture)) expect(isOver(left[index])).toBe(true);
    else expect(left[index]).toEqual(picture);
  });
  expect(await verified(store)).toMatchObject({ ok: true, problems: [] });
  await expectSnapshotsRight(store);
}

/** @returns how many there are. */
async function expectSnapshotsRight(store: MemoryStore): Promise<number> {
  const reader = await readerOf(store);
  for (const snapshot of store.snapshots.values())
    expect(await auditSnapshot(reader, snapshot, limits.mailboxDepthMax)).toEqual({ found: 'right' });
  return store.snapshots.size;
}

/** Whether it is there, gone, or over because its time was. */
async function answerOf(world: World, sessionId: string): Promise<unknown> {
  const client = world.connect();
  client.send({ type: 'get_state', id: `of ${sessionId}`, sessionId });
  await world.settle();
  return client.response(`of ${sessionId}`)?.['errorCode'];
}

/** Two servers begin, with what is left and with all of it: they know the same sessions, and the same commands. */
async function expectSameBoot({ all, store, player }: Chronicle): Promise<void> {
  const boot = (from: MemoryStore) =>
    createWorld({ store: copyStore(from), clock: createSimulatedClock(player.world.clock.now()), limits: { lease } });
  const [left, complete] = [boot(store), boot(all)];
  for (const world of [left, complete]) {
    await world.start();
    await world.settle();
  }
  for (const id of SESSIONS) {
    const [one, other] = [left, complete].map((world) => {
      const state = world.system.session(id)?.state;
      // What was to be made still is made now, by each of them.
      return state && { ...state, epoch: '', incarnation: '' };
    });
    expect(one).toEqual(other);
    const [here, there] = await Promise.all([left, complete].map((world) => answerOf(world, id)));
    expect(here, `what is said of ${id}`).toBe(there);
  }
  const client = left.connect();
  for (const { entry } of await stored(complete.store)) {
    if (entry.kind !== 'command.settled' && entry.kind !== 'command.accepted') continue;
    if (entry.blanked === true || !entry.explicitId) continue;
    client.raw(entry.content.command);
    await left.settle();
    const response = client.response(entry.commandId)!;
    // Under a key it may be the answer to another one, or a conflict with it; of what waits there is none yet.
    if (response === undefined || entry.idempotencyKey !== undefined) continue;
    expect(response, entry.content.command).toMatchObject({ replayed: true });
    if (entry.kind === 'command.settled') {
      const { success, errorCode } = entry;
      expect(response).toMatchObject(success ? { success } : { success, errorCode });
    }
  }
  expect(await verified(left.store)).toMatchObject({ ok: true, problems: [] });
}

describe('Compaction remains replay-equivalent', () => {
  it('in memory', { timeout: 240_000 }, async () => {
    let dropped = 0;
    await fc.assert(
      fc.asyncProperty(acts, async (between) => {
        const chronicle = await Chronicle.begin();
        for (const act of [...between, { do: 'compact' as const }, { do: 'compact' as const }]) {
          await chronicle.act(act);
          if (act.do === 'compact') await expectSame(chronicle);
        }
        dropped += chronicle.dropped;
        await expectSameBoot(chronicle);
      }),
      { numRuns: 60 },
    );
    expect(dropped).toBeGreaterThan(0);
  });

  it('in a file, which keeps exactly what memory keeps', { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (between) => {
        const chronicle = await Chronicle.begin();
        for (const act of [...between, { do: 'compact' as const }, { do: 'compact' as const }])
          await chronicle.act(act);
        const dataDir = mkdtempSync(join(tmpdir(), 'troupe-compaction-'));
        const journal = createSqliteJournal({ dataDir });
        try {
          await journal.open();
          const entries = await stored(chronicle.all);
          // What was blanked can't be written again.
          if (entries.some(({ entry }) => entry.blanked === true)) return;
          await append(
            journal,
            entries.map(({ entry }) => entry),
          );
          for (const { lane, offset } of chronicle.store.anchors.values()) await journal.drop(lane, offset);
          const ofMemory = createMemoryJournal({ store: copyStore(chronicle.store) });
          await ofMemory.open();
          for (const kept of [ofMemory, journal] as const) {
            const report = await kept.verify(entries.length);
            expect(report).toMatchObject({ ok: true, problems: [] });
          }
          const inFile = await journal.scan({ after: 0, limit: 10_000 });
          expect(inFile.map(({ entry }) => entry)).toEqual((await stored(chronicle.store)).map(({ entry }) => entry));
          const remains = async (from: Journal) =>
            (await from.remains(0, 10_000)).map(({ entry, hash, fingerprint }) => ({ entry, hash, fingerprint }));
          expect(await remains(journal)).toEqual(await remains(ofMemory));
          await journal.close();
          expect(verifyDirectory(dataDir, { idsMax: 10_000 })).toMatchObject({ ok: true, problems: [] });
        } finally {
          await journal.close();
          rmSync(dataDir, { recursive: true, force: true });
        }
      }),
      { numRuns: 25 },
    );
  });
});

async function append(journal: Journal, entries: readonly Entry[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    journal.append(entries, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** It says that it is durable, and that it was copied. */
function durable(): Journal {
  let backups = 0;
  return new Proxy(createMemoryJournal(), {
    get(target, name) {
      if (name === 'durability') return 'durable';
      if (name === 'backup') return async () => ({ backups: (backups += 1) });
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

describe('a journal that was compacted', () => {
  async function compacted() {
    const scene = await createScene();
    for (const name of ['one', 'two', 'three'])
      await scene.send({ type: 'set_session_name', id: name, sessionId: 's', name, idempotencyKey: `k-${name}` });
    const report = await compact(scene.world);
    expect(report).toMatchObject({ lanes: 1 });
    expect(report.entries).toBeGreaterThan(2);
    return { ...scene, report };
  }

  it('says to verify how much was dropped, and a further entry that is missing is damage', async () => {
    const { world, report, send } = await compacted();
    await send({ type: 'set_session_name', id: 'four', sessionId: 's', name: 'four' });
    const clean = await verified(world.store);
    expect(clean).toMatchObject({ ok: true, anchors: 1, droppedEntries: report.entries });
    for (const [index, row] of world.store.rows.slice(0, -1).entries()) {
      if (row === undefined) continue;
      world.store.rows[index] = undefined;
      expect((await verified(world.store)).ok, `without offset ${index + 1}`).toBe(false);
      world.store.rows[index] = row;
    }
  });

  it('drops nothing when it is done again, and completes what a crash between record and drop left', async () => {
    const { world, send } = await compacted();
    expect(await compact(world)).toEqual({ lanes: 0, entries: 0 });
    await send(
      { type: 'set_session_name', id: 'x', sessionId: 's', name: 'x' },
      { type: 'set_session_name', id: 'y', sessionId: 's', name: 'y' },
    );
    const drop = world.journal.drop.bind(world.journal);
    Object.assign(world.journal, { drop: () => Promise.reject(new Error('cut')) });
    const client = world.connect();
    client.send({ type: 'compact_journal', id: 'cut' });
    await world.settle();
    expect(client.response('cut')).toMatchObject({ errorCode: 'COMPACTION_FAILED' });
    expect(await verified(world.store)).toMatchObject({ ok: true });
    Object.assign(world.journal, { drop });
    expect((await compact(world)).entries).toBeGreaterThan(0);
    expect(await verified(world.store)).toMatchObject({ ok: true });
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
  });

  it('expires a snapshot before it with the first event that there is', async () => {
    const { world } = await compacted();
    const store = copyStore(world.store);
    const next = createWorld({ store, clock: world.clock });
    await next.start();
    const client = next.connect();
    client.send({ type: 'get_session_snapshot', id: 'at', sessionId: 's', seq: 1 });
    await next.settle();
    expect(client.response('at')).toMatchObject({ errorCode: 'CURSOR_EXPIRED', details: { firstSeq: 3 } });
  });

  it('says nothing that redaction took away, nor does a snapshot, and both are what folding gives', async () => {
    const { world, send, engine } = await createScene({
      redaction: { keys: ['token'], patterns: ['xyzzy'] },
      limits: { passivationIdleMs: 1_000 },
    });
    await send({
      type: 'create_session',
      id: 'c',
      sessionId: 'r',
      name: 'xyzzy',
      labels: { token: 'plugh', kept: '1' },
    });
    await send({ type: 'prompt', id: 'p', sessionId: 'r', message: 'xyzzy and more' });
    engine.turns.at(-1)!.speak('what xyzzy');
    engine.turns.at(-1)!.endMessage('{"token":"plugh","said":"what xyzzy"}');
    engine.turns.at(-1)!.finish();
    await world.advance(5_000);
    expect(await expectSnapshotsRight(world.store)).toBeGreaterThan(0);
    const before = await pictureAt(await readerOf(world.store), 'r', { mailboxDepthMax: limits.mailboxDepthMax });
    expect((await compact(world)).entries).toBeGreaterThan(0);
    await world.advance(5_000);
    expect(await expectSnapshotsRight(world.store)).toBeGreaterThan(0);
    const after = await pictureAt(await readerOf(world.store), 'r', { mailboxDepthMax: limits.mailboxDepthMax });
    expect(after).toEqual(before);
    expect(after).toMatchObject({ context: { labels: { token: '[redacted]', kept: '1' }, messages: [{}] } });
    expect(JSON.stringify([world.store.rows, [...world.store.remains.values()]])).not.toMatch(/plugh|xyzzy/);
    expect(await verified(world.store)).toMatchObject({ ok: true, problems: [] });
  });

  it('is not done without a recent verified backup of a durable journal, and the refusal says so', async () => {
    const { world, send, response } = await createScene({ journal: durable(), upkeep: noSchedule });
    await send({ type: 'compact_journal', id: 'none' });
    expect(response('none')).toMatchObject({ errorCode: 'COMPACTION_FAILED' });
    expect(String(response('none')!['error'])).toContain('no verified backup');
    await send({ type: 'backup', id: 'b' });
    await send({ type: 'compact_journal', id: 'now' });
    expect(response('now')).toMatchObject({ success: true });
    await world.advance(25 * 60 * 60 * 1000);
    await send({ type: 'compact_journal', id: 'later' });
    expect(response('later')).toMatchObject({ errorCode: 'COMPACTION_FAILED' });
    expect(String(response('later')!['error'])).toContain('s old');
    // Whoever asked was told: nothing is wrong with the server.
    const said = (world.observations as { level: string; message: string }[]).filter(
      ({ message }) => message === 'compaction refused',
    );
    expect(said.map(({ level }) => level)).toEqual(['info', 'info']);
  });

  it('keeps what is younger than it must be kept', async () => {
    const { world, send } = await createScene({
      upkeep: { ...noSchedule, keptMs: 10_000 },
    });
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    expect(await compact(world)).toEqual({ lanes: 0, entries: 0 });
    await world.advance(10_001);
    expect((await compact(world)).entries).toBeGreaterThan(0);
  });

  it('keeps all of it as long as something in front of the place to begin with is younger', async () => {
    const { world, send } = await createScene({
      upkeep: { ...noSchedule, keptMs: 10_000 },
      limits: { snapshotEvery: 2 },
    });
    await world.advance(6_000);
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    await world.advance(4_001);
    expect(await compact(world)).toEqual({ lanes: 0, entries: 0 });
    expect((await stored(world.store)).filter(({ entry }) => entry.kind === 'lane.compacted')).toHaveLength(1);
    await world.advance(2_000);
    expect(await compact(world)).toEqual({ lanes: 0, entries: 0 });
    await world.advance(4_000);
    expect(await compact(world)).toEqual({ lanes: 1, entries: 2 });
  });

  it('is read by who was in the middle of it when its beginning was dropped', async () => {
    const store = createMemoryStore();
    const inside = createMemoryJournal({ store });
    let onPage: (() => Promise<unknown>) | undefined;
    const journal: Journal = {
      ...derivedOf(inside),
      durability: 'volatile',
      location: 'memory',
      open: () => inside.open(),
      append: (entries, done) => inside.append(entries, done),
      scan: async (range) => {
        const page = await inside.scan(onPage === undefined ? range : { ...range, limit: 2 });
        if (range.lane === 'session:s') await onPage?.();
        return page;
      },
      head: (lane) => inside.head(lane),
      read: (offset) => inside.read(offset),
      blank: (range) => inside.blank(range),
      backup: (at) => inside.backup(at),
      verify: (last) => inside.verify(last),
      close: () => inside.close(),
    };
    const { world, send, response } = await createScene({ journal, store });
    const rename = (name: string) => ({ type: 'set_session_name', id: name, sessionId: 's', name });
    await send(rename('one'), { type: 'follow_up', id: 'f', sessionId: 's', message: 'waits' }, rename('three'));
    const drop = world.journal.drop.bind(world.journal);
    const bases: number[] = [];
    Object.assign(world.journal, { drop: async (_lane: string, before: number) => void bases.push(before) });
    await compact(world);
    Object.assign(world.journal, { drop });
    await send(rename('four'), rename('five'));
    await world.advance(2 * limits.passivationIdleMs);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1 });
    store.snapshots.clear();
    onPage = async () => {
      onPage = async () => undefined;
      expect(await inside.drop('session:s', bases[0]!)).toBeGreaterThan(2);
    };
    await send({ type: 'get_state', id: 'state', sessionId: 's' });
    expect(response('state')).toMatchObject({ success: true, data: { sessionName: 'five' } });
    expect(world.system.session('s')?.state?.followUps).toHaveLength(1);
    await send(rename('six'));
    expect(response('six')).toMatchObject({ success: true });
    expect(await verified(store)).toMatchObject({ ok: true, problems: [] });
  });

  it('of a session whose end was announced is that session, and ends on time', async () => {
    const options = { limits: { lease: { baseMs: HOUR, extensionMs: HOUR, extensionsMax: 1, thresholdMs: HOUR / 2 } } };
    const { world } = await createScene(options);
    await world.advance(HOUR / 2 + 1);
    const picture = async () =>
      pictureAt(await readerOf(world.store), 's', { mailboxDepthMax: limits.mailboxDepthMax });
    const before = await picture();
    expect(before).toMatchObject({ children: { lease: { value: { expiring: 'extendable' } } } });
    expect((await compact(world)).entries).toBeGreaterThan(0);
    expect(await picture()).toEqual(before);
    const next = createWorld({
      store: copyStore(world.store),
      clock: createSimulatedClock(world.clock.now()),
      ...options,
    });
    await next.start();
    await next.advance(HOUR / 2);
    expect(await answerOf(next, 's')).toBe('SESSION_EXPIRED');
    expect(await verified(next.store)).toMatchObject({ ok: true, problems: [] });
  });

  it('runs by schedule, counted from the last success', async () => {
    const { world, client, send } = await createScene({
      upkeep: { ...noSchedule, compactionIntervalMs: 60_000 },
    });
    await world.advance(180_000);
    await send({ type: 'get_metrics', id: 'm' });
    const runs = client.response('m')!['data'].housekeeping as { task: string; ok: boolean }[];
    expect(runs.length).toBeGreaterThanOrEqual(3);
    expect(runs).toEqual(
      runs.map(() => expect.objectContaining({ task: 'compaction', ok: true, trigger: 'schedule' })),
    );
    const counted = async (from: World): Promise<number> => {
      const asking = from.connect();
      const id = `counted at ${from.clock.now()}`;
      asking.send({ type: 'get_metrics', id });
      await from.settle();
      return (asking.response(id)!['data'].housekeeping as unknown[]).length;
    };
    await world.advance(20_000);
    const before = await counted(world);
    const next = createWorld({
      store: copyStore(world.store),
      clock: createSimulatedClock(world.clock.now()),
      upkeep: { ...noSchedule, compactionIntervalMs: 60_000 },
    });
    await next.start();
    await next.advance(39_000);
    expect(await counted(next), 'a start is no reason').toBe(before);
    await next.advance(2_000);
    expect(await counted(next)).toBe(before + 1);
  });

  it('is a reason of health when it is due and has no backup, and none when it was asked for', async () => {
    const asked = await createScene({ journal: durable(), upkeep: noSchedule });
    await asked.send({ type: 'compact_journal', id: 'z' }, { type: 'health_check', id: 'h' });
    expect(asked.response('z')).toMatchObject({ success: false });
    expect(asked.response('h')).toMatchObject({ data: { healthy: true, issues: [] } });
    const upkeep = { ...noSchedule, compactionIntervalMs: 60_000 };
    const { world, send, response } = await createScene({ journal: durable(), upkeep });
    await world.advance(60_001);
    await send({ type: 'health_check', id: 'before' });
    const issue = 'The last compaction failed: There is no verified backup of the journal: make one first';
    expect(response('before')).toMatchObject({ data: { healthy: false, issues: [issue] } });
    await send({ type: 'backup', id: 'b' }, { type: 'compact_journal', id: 'c' });
    await world.advance(1);
    expect(response('c')).toMatchObject({ success: true });
    await send({ type: 'health_check', id: 'after' });
    expect(response('after')).toMatchObject({ data: { healthy: true, issues: [] } });
  });

  it('drops the lane of a session that is over, and its name begins anew', async () => {
    const { world, send, response } = await compacted();
    await send({ type: 'delete_session', id: 'd', sessionId: 's' });
    expect(response('d')).toMatchObject({ success: true });
    expect((await compact(world)).entries).toBeGreaterThan(0);
    expect(await verified(world.store)).toMatchObject({ ok: true });
    await send({ type: 'create_session', id: 'c', sessionId: 's' });
    expect(response('c')).toMatchObject({ success: true });
    expect(await verified(world.store)).toMatchObject({ ok: true });
  });
});
