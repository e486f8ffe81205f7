/**
 * A boot from a checkpoint comes to the same server as one that folds everything, at whatever place the journal was cut and
 * wherever the checkpoint stands; and one that can't be used is passed over.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Directory } from '../../actors/directory.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World, WorldOptions } from '../support/world.ts';

type Store = World['store'];

const NEVER_MS = 2 ** 31 - 1;
const limits = { passivationIdleMs: NEVER_MS };

/** A server that boots on a store as it is; what it says of everything that a client may ask. */
async function boot(store: Store, clock: World['clock'], sent: readonly { id: string; type: string }[] = []) {
  const engines = [new ManualEngine(), new ManualEngine('slow')];
  engines[1]!.ready = false;
  const world = createWorld({ store, engines, limits, clock });
  const recovery = await world.start();
  const client = world.connect();
  const ask = async (command: { type: string; [field: string]: unknown }, id: string) => {
    client.send({ ...command, id });
    await world.settle();
    return client.response(id);
  };
  const lists = await ask({ type: 'list_sessions' }, 'look-list');
  const states = [];
  for (const sessionId of SESSIONS) {
    const state = await ask({ type: 'get_state', sessionId }, `look-${sessionId}`);
    const messages = await ask({ type: 'get_messages', sessionId }, `look-at-${sessionId}`);
    states.push({ ...state, messages: messages?.['data'], chart: world.system.session(sessionId)?.snapshot });
  }
  const known = [];
  for (const { id, type } of sent) {
    // Another command under the same id: a conflict names what it was used for, and an id that is free is used now.
    const met = await ask({ type: 'switch_session', sessionId: 'nobody' }, id);
    known.push({ id, type, errorCode: met?.['errorCode'] as unknown, error: met?.['error'] as unknown });
  }
  const { classified, requeued, sessions, recoveredOutcomes, boot: number } = recovery;
  return { world, answers: { lists, states, known, classified, requeued, sessions, recoveredOutcomes, boot: number } };
}

it(
  'a boot from a checkpoint and one that folds everything give the same server, wherever the journal ends',
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(scripts(30), scripts(20), fc.nat(), async (before, after, cut) => {
        const player = await ScriptPlayer.start({ limits: { ...limits, checkpointEvery: 3 } });
        await player.play(before);
        player.world.journal.pass();
        await player.world.settle();
        // A checkpoint is there only with all that was durable when it was sealed.
        const then = copyStore(player.world.store, undefined, true);
        await player.play(after);
        player.world.journal.pass();
        await player.world.settle();
        const { store, clock } = player.world;
        fc.pre(then.checkpoints.length > 0);
        const length = then.rows.length + (cut % (store.rows.length - then.rows.length + 1));
        const whole = await boot(copyStore(store, length), clock, player.sent);
        const { checkpoints, parts, snapshots } = then;
        const quick = await boot({ ...copyStore(store, length), checkpoints, parts, snapshots }, clock, player.sent);
        expect(quick.world.observations).not.toContainEqual(
          expect.objectContaining({ message: 'checkpoint passed over' }),
        );
        expect(quick.answers).toEqual(whole.answers);
      }),
      { numRuns: 60 },
    );
  },
);

it('Recovery classification is deterministic across repeated boots', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scripts(40), async (steps) => {
      const player = await ScriptPlayer.start({ limits: { ...limits, checkpointEvery: 5 } });
      await player.play(steps);
      player.world.journal.pass();
      await player.world.settle();
      const { store, clock } = player.world;
      const { length } = store.rows;
      const boots = [];
      for (const derived of [false, true, true])
        boots.push((await boot(copyStore(store, length, derived), clock)).answers);
      expect(boots[1]).toEqual(boots[0]);
      expect(boots[2]).toEqual(boots[0]);
      // And what was classified is not found again, however often it is asked for.
      const again = copyStore(store, length, true);
      const first = await boot(again, clock);
      const next = await boot(copyStore(again, again.rows.length, true), clock);
      const before = new Set(first.answers.classified.map(({ commandId }) => commandId));
      expect(next.answers.classified.filter(({ commandId }) => before.has(commandId))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

describe('Restart preserves completed outcomes', () => {
  async function stopped(options: WorldOptions = {}) {
    const scene = await createScene(options);
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'kept', idempotencyKey: 'k' });
    await scene.prompt('p');
    scene.engine.turn.finish();
    await scene.world.settle();
    await scene.send({ type: 'prompt', id: 'bad', sessionId: 'nobody', message: 'm' });
    await scene.world.stop();
    return scene;
  }

  it.each([true, false])('after a stop in order, with the checkpoint of the stop there: %s', async (derived) => {
    const { world } = await stopped();
    expect(world.store.checkpoints).toHaveLength(1);
    const next = createWorld({ store: copyStore(world.store, undefined, derived), engines: [new ManualEngine()] });
    const recovery = await next.start();
    expect(recovery).toMatchObject({ boot: 2, classified: [], requeued: 0, sessions: 1 });
    expect(recovery.entriesScanned === 0).toBe(derived);
    expect(next.system.live).toMatchObject(derived ? { sessions: 0, passive: 1 } : { sessions: 1, passive: 0 });
    const client = next.connect();
    client.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'kept', idempotencyKey: 'k' });
    client.send({ type: 'set_session_name', id: 'other', sessionId: 's', name: 'kept', idempotencyKey: 'k' });
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'p' });
    client.send({ type: 'prompt', id: 'bad', sessionId: 'nobody', message: 'm' });
    client.send({ type: 'set_session_name', id: 'p', sessionId: 's', name: 'x' });
    await next.settle();
    const answers = client
      .responses()
      .map(({ id, success, replayed, errorCode }) => [id, success, replayed, errorCode]);
    const order = ['n', 'other', 'p', 'bad'];
    const place = ([id, success]: unknown[]) => order.indexOf(String(id)) + (id === 'p' && success === false ? 9 : 0);
    expect(answers.sort((a, b) => place(a) - place(b))).toEqual([
      ['n', true, true, undefined],
      ['other', true, true, undefined],
      ['p', true, true, undefined],
      ['bad', false, true, 'SESSION_NOT_FOUND'],
      ['p', false, undefined, 'ID_CONFLICT'],
    ]);
  });

  it.each([
    ['a part is damaged', (store: Store) => store.parts.forEach((_, key) => store.parts.set(key, new Uint8Array([7])))],
    ['a part is gone', (store: Store) => store.parts.clear()],
    [
      'it is of another fold',
      (store: Store) =>
        (store.checkpoints = store.checkpoints.map((head) => ({
          ...head,
          header: head.header.replace('foldHash":"', 'foldHash":"x'),
        }))),
    ],
    [
      'its header is garbage',
      (store: Store) => (store.checkpoints = store.checkpoints.map((head) => ({ ...head, header: '{' }))),
    ],
  ])('by folding everything when %s, with a line in the log', async (_what, damage) => {
    const { world } = await stopped();
    const store = copyStore(world.store, undefined, true);
    damage(store);
    const next = createWorld({ store, engines: [new ManualEngine()] });
    expect(await next.start()).toMatchObject({ boot: 2, sessions: 1, entriesScanned: store.rows.length - 2 });
    expect(next.observations).toContainEqual(expect.objectContaining({ message: 'checkpoint passed over' }));
    const client = next.connect();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'p' });
    await next.settle();
    expect(client.response('p')).toMatchObject({ success: true, replayed: true });
  });

  it('from the checkpoint before, when the newest one is damaged', async () => {
    const { world } = await stopped();
    const store = copyStore(world.store, undefined, true);
    const second = createWorld({ store, engines: [new ManualEngine()] });
    await second.start();
    const client = second.connect();
    for (let index = 0; index < 20; index += 1) {
      client.send({ type: 'set_session_name', id: `again-${index}`, sessionId: 's', name: `n${index}` });
    }
    await second.stop();
    expect(store.checkpoints).toHaveLength(2);
    const [newest, before] = store.checkpoints;
    for (const key of store.parts.keys()) if (key.startsWith(`${newest!.offset}:`)) store.parts.delete(key);
    const third = createWorld({ store, engines: [new ManualEngine()] });
    const rows = store.rows.length;
    expect(await third.start()).toMatchObject({ boot: 3, sessions: 1, entriesScanned: rows - before!.offset });
    const asks = third.connect();
    asks.send({ type: 'get_state', id: 'r', sessionId: 's' });
    await third.settle();
    expect(asks.response('r')).toMatchObject({ data: { sessionName: 'n19' } });
  });
});

it('a session that expired is told so behind a checkpoint as well', async () => {
  const { world, send } = await createScene();
  await send({ type: 'create_session', sessionId: 'short', ttl: 60_000 });
  await world.advance(60_001);
  await world.stop();
  const next = createWorld({
    store: copyStore(world.store, undefined, true),
    engines: [new ManualEngine()],
    clock: world.clock,
  });
  expect(await next.start()).toMatchObject({ entriesScanned: 0, sessions: 1 });
  const client = next.connect();
  client.send({ type: 'get_state', id: 'r', sessionId: 'short' });
  await next.settle();
  expect(client.response('r')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
});

describe('a checkpoint', () => {
  it('is kept every so many entries while the server runs, and never shows what is not durable', async () => {
    const { world, send } = await createScene({ limits: { checkpointEvery: 20 } });
    for (let index = 0; index < 60; index += 1)
      await send({ type: 'set_session_name', id: `n${index}`, sessionId: 's', name: 'x' });
    const offsets = world.store.checkpoints.map(({ offset }) => offset);
    expect(offsets).toHaveLength(2);
    expect(offsets[0]! - offsets[1]!).toBeGreaterThanOrEqual(20);
    world.journal.hold();
    for (let index = 0; index < 60; index += 1) await send({ type: 'set_session_name', sessionId: 's', name: 'held' });
    expect(world.store.checkpoints[0]!.offset).toBe(offsets[0]);
    expect(await entriesOf(world.store)).toHaveLength(world.store.rows.length);
  });

  it('shows sessions that are deleted and made again while it is written once each, and leaves nothing behind', async () => {
    const store = createMemoryStore();
    const journal = createMemoryJournal({ store });
    const keepPart = journal.keepPart.bind(journal);
    let sessionsArePassed = (): void => undefined;
    const gate = new Promise<void>((resolve) => (sessionsArePassed = resolve));
    journal.keepPart = async (offset, part, bytes) => {
      // The first of the parts with sessions: it is made, and waits to be written.
      if (part === 2) await gate;
      return keepPart(offset, part, bytes);
    };
    const knobs = { sessionsMax: 5_000, checkpointEvery: 700, idempotencyEntriesMax: 10 };
    const { world, send, response } = await createScene({ store, journal, limits: knobs });
    for (let index = 0; index < 600; index += 1) await send({ type: 'create_session', sessionId: `x${index}` });
    for (let index = 0; index < 120; index += 1) await send({ type: 'set_session_name', sessionId: 'x9', name: 'n' });
    for (const sessionId of ['x3', 'x4']) await send({ type: 'delete_session', sessionId });
    await send({ type: 'create_session', sessionId: 'x3', id: 'again' });
    expect(response('again')).toMatchObject({ success: true });
    sessionsArePassed();
    await world.settle();
    expect(store.checkpoints).toHaveLength(1);
    const rest = { sessions: 0, passive: 600, mailboxes: 0, lanes: 1, leases: 600 };
    for (const derived of [true, false]) {
      const next = createWorld({
        store: copyStore(store, undefined, derived),
        engines: [new ManualEngine()],
        limits: knobs,
      });
      const { entriesScanned } = await next.start();
      expect(entriesScanned < 100).toBe(derived);
      const { sessions, passive } = next.system.live;
      expect(sessions + passive).toBe(600);
      await next.advance(600_000);
      expect(next.system.live).toMatchObject(rest);
    }
  });

  it('brings back into memory what is in the middle of something, and nothing else', async () => {
    const scene = await createScene({ limits: { ...limits, checkpointEvery: 5 } });
    const { world, engine } = scene;
    await scene.send(...['a', 'b', 'c'].map((sessionId) => ({ type: 'create_session', sessionId })));
    await scene.prompt('turn');
    await scene.send({ type: 'prompt', id: 'waits', sessionId: 's', message: 'm' });
    for (let index = 0; index < 10; index += 1)
      await scene.send({ type: 'set_session_name', sessionId: 'a', name: 'x' });
    await scene.send({ type: 'set_session_name', sessionId: 'b', name: 'of the tail' });
    expect(engine.turns).toHaveLength(1);
    const sealed = world.store.checkpoints[0]!.offset;
    const tail = (await entriesOf(world.store)).filter(({ offset }) => offset > sealed).map(({ lane }) => lane);
    const next = createWorld({ store: copyStore(world.store, undefined, true), engines: [new ManualEngine()], limits });
    expect(await next.start()).toMatchObject({
      classified: [{ commandId: 'turn', errorCode: 'INTERRUPTED' }],
      requeued: 1,
    });
    expect(next.system.session('s')).toBeDefined();
    for (const id of ['a', 'b', 'c'])
      expect(next.system.session(id) !== undefined).toBe(tail.includes(`session:${id}`));
    expect(next.system.live.sessions + next.system.live.passive).toBe(4);
  });

  it('is no use when a session that is in the middle of something can not be read, and the start says why', async () => {
    const scene = await createScene({ limits: { ...limits, checkpointEvery: 5 } });
    await scene.prompt('turn');
    for (let index = 0; index < 10; index += 1) await scene.send({ type: 'create_session', sessionId: `x${index}` });
    expect(scene.world.store.checkpoints.length).toBeGreaterThan(0);
    const journal = createMemoryJournal({ store: copyStore(scene.world.store, undefined, true) });
    const scan = journal.scan.bind(journal);
    journal.scan = async (range) => {
      if (range.lane === 'session:s') throw new JournalRefused('it is damaged: restore it from a backup');
      return scan(range);
    };
    const next = createWorld({ journal, engines: [new ManualEngine()], limits });
    await expect(next.start()).rejects.toThrow(new JournalRefused('it is damaged: restore it from a backup'));
  });

  it('shows what a rule of redaction names to no later one, although the rule came later than its session', async () => {
    const secret = 'sk-abcdef123456';
    const { world, send } = await createScene();
    await send({ type: 'set_session_name', sessionId: 's', name: `named ${secret}` });
    await world.stop();
    const store = copyStore(world.store, undefined, true);
    const redaction = { patterns: ['sk-[a-z0-9]{6,}'], keys: [] };
    const second = createWorld({ store, engines: [new ManualEngine()], redaction });
    await second.start();
    expect(second.system.live.passive).toBe(1);
    await second.stop();
    const [newest] = store.checkpoints;
    const parts = [...store.parts].filter(([key]) => key.startsWith(`${newest!.offset}:`));
    const text = parts.map(([, bytes]) => new TextDecoder().decode(bytes)).join('\n');
    expect(text).toContain('named [redacted]');
    expect(text).not.toContain(secret);
  });

  it('is taken over part by part: others get their turns in between', async () => {
    const { world, send } = await createScene({ limits: { sessionsMax: 5_000 } });
    for (let index = 0; index < 1_100; index += 1) await send({ type: 'create_session', sessionId: `x${index}` });
    await world.stop();
    const next = createWorld({ store: copyStore(world.store, undefined, true), engines: [new ManualEngine()] });
    const imported = vi.spyOn(Directory.prototype, 'import');
    const turns = vi.spyOn(next.clock, 'defer');
    await next.start();
    const { invocationCallOrder: parts } = imported.mock;
    expect(parts).toHaveLength(3);
    for (const [from, to] of [parts.slice(0, 2), parts.slice(1)])
      expect(turns.mock.invocationCallOrder.some((turn) => turn > from! && turn < to!)).toBe(true);
    imported.mockRestore();
  });

  it('is kept at the stop that comes behind a purge, which removed those that were there', async () => {
    const { world, send, response } = await createScene({
      limits: { checkpointEvery: 500, idempotencyEntriesMax: 10_000 },
    });
    for (let index = 0; index < 600; index += 1)
      await send({ type: 'create_session', id: `c${index}`, sessionId: `x${index}` });
    await send({ type: 'delete_session', sessionId: 'x1' });
    await world.stop();
    const copy = copyStore(world.store, undefined, true);
    const second = await createScene({ store: copy });
    await second.send({ type: 'purge_session', id: 'p', sessionId: 'x1' });
    expect(second.response('p')).toMatchObject({ success: true });
    expect(copy.checkpoints).toEqual([]);
    await second.world.stop();
    expect(copy.checkpoints).toHaveLength(1);
    const third = createWorld({ store: copyStore(copy, undefined, true), engines: [new ManualEngine()] });
    expect(await third.start()).toMatchObject({ entriesScanned: 0 });
    expect(response('c1')).toMatchObject({ success: true });
  });

  it('is not sealed when a purge removed its first parts meanwhile', async () => {
    const journal = createMemoryJournal({ store: createMemoryStore() });
    const keepPart = journal.keepPart.bind(journal);
    let goesOn = (): void => undefined;
    const gate = new Promise<void>((resolve) => (goesOn = resolve));
    journal.keepPart = async (offset, part, bytes) => {
      if (part === 2) await gate;
      return keepPart(offset, part, bytes);
    };
    const { world, send, response } = await createScene({ journal, limits: { checkpointEvery: 20 } });
    for (let index = 0; index < 20; index += 1)
      await send({ type: 'set_session_name', id: `n${index}`, sessionId: 's', name: 'x' });
    await send({ type: 'purge_session', id: 'p', sessionId: 's' });
    expect(response('p')).toMatchObject({ success: true });
    goesOn();
    await world.settle();
    expect(await journal.checkpoints()).toEqual([]);
    await send({ type: 'get_metrics', id: 'm' });
    expect(response('m')!['data'].checkpoints).toMatchObject({ kept: 0, failed: 1 });
    for (let index = 0; index < 40; index += 1) await send({ type: 'create_session', sessionId: `x${index}` });
    expect(await journal.checkpoints()).toHaveLength(2);
  });

  it('is not used after a defect: everything is folded from the entries', async () => {
    const { world, send } = await createScene({ limits: { checkpointEvery: 5 } });
    for (let index = 0; index < 10; index += 1)
      await send({ type: 'set_session_name', sessionId: 's', name: `n${index}` });
    expect(world.store.checkpoints.length).toBeGreaterThan(0);
    world.store.checkpoints = world.store.checkpoints.map((head) => ({ ...head, header: '{' }));
    world.system.transportsFailed(new Error('planted'));
    await world.advance(5_000);
    expect(world.observations).toContainEqual(expect.objectContaining({ message: 'checkpoint passed over' }));
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(world.system.live).toMatchObject({ sessions: 1 });
  });
});
