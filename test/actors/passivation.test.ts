/** A session that nobody uses leaves memory, and nobody can tell: what is asked of it is answered as if it had stayed. */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createFaultyJournal } from '../requirements/faulty-ports.ts';
import { createWorld, limits } from '../support/world.ts';
import type { WorldOptions } from '../support/world.ts';

const IDLE_MS = limits.passivationIdleMs;

async function passive(options: WorldOptions = {}): Promise<Scene> {
  const scene = await createScene(options);
  await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'first', idempotencyKey: 'k' });
  await scene.world.advance(IDLE_MS * 1.5);
  expect(scene.world.system.live).toMatchObject({ sessions: 0, passive: 1, mailboxes: 0 });
  expect(scene.world.system.session('s')).toBeUndefined();
  scene.client.frames.length = 0;
  return scene;
}

describe('a session that is idle', () => {
  it('leaves memory after its time, with its actor, its mailbox, its lane and the timer that looked for it', async () => {
    const scene = await createScene();
    const { world } = scene;
    const before = world.system.live;
    await world.advance(IDLE_MS - 1);
    expect(world.system.live).toEqual(before);
    await world.advance(IDLE_MS / 2);
    expect(world.system.live).toEqual({
      ...before,
      sessions: 0,
      passive: 1,
      mailboxes: 0,
      actors: before.actors - 1,
      lanes: before.lanes - 1,
    });
    // Its end is awaited all the same.
    expect(world.system.live.leases).toBe(1);
    expect(world.clock.pendingTimers).toBe(1);
  });

  it('stays while it is read, though reading is no activity', async () => {
    const { world, send } = await createScene();
    for (let round = 0; round < 6; round += 1) {
      await world.advance(IDLE_MS * 0.8);
      await send({ type: 'get_state', sessionId: 's' });
    }
    expect(world.system.live).toMatchObject({ sessions: 1, passive: 0 });
  });

  it('stays while a turn runs or work waits', async () => {
    const { world, engine, prompt, response } = await createScene();
    await prompt('p');
    await world.advance(IDLE_MS * 3);
    expect(world.system.live).toMatchObject({ sessions: 1, passive: 0 });
    engine.turn.finish();
    await world.settle();
    expect(response('p')).toMatchObject({ success: true });
    await world.advance(IDLE_MS * 1.5);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1 });
  });

  it('stays as long as its newest entry is not durable', async () => {
    const { world, send } = await createScene();
    world.journal.hold();
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'held' });
    await world.advance(IDLE_MS * 3);
    expect(world.system.live).toMatchObject({ sessions: 1, passive: 0 });
  });

  it('leaves in slices when there are many', async () => {
    const { world, send } = await createScene({ limits: { sessionsMax: 5_000 } });
    for (let index = 0; index < 1_200; index += 1) await send({ type: 'create_session', sessionId: `x${index}` });
    await world.advance(IDLE_MS * 2);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1_201, mailboxes: 0, lanes: 1 });
  });
});

describe('a session that is not in memory', () => {
  it('comes back for a read, a change and a turn, as it was', async () => {
    const { world, engine, send, prompt, response } = await passive();
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(response('r')).toMatchObject({ success: true, data: { sessionName: 'first', sessionVersion: 1 } });
    expect(world.system.live).toMatchObject({ sessions: 1, passive: 0 });
    await world.advance(IDLE_MS * 1.5);
    await send({ type: 'set_session_name', id: 'n2', sessionId: 's', name: 'second', ifSessionVersion: 1 });
    expect(response('n2')).toMatchObject({ success: true, sessionVersion: 2 });
    await world.advance(IDLE_MS * 1.5);
    await prompt('p');
    engine.turn.finish();
    await world.settle();
    expect(response('p')).toMatchObject({ success: true, sessionVersion: 3 });
  });

  it('takes what is pipelined in order', async () => {
    const { client, send } = await passive();
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
    await send(...names.map((name) => ({ type: 'set_session_name', id: name, sessionId: 's', name })), {
      type: 'get_state',
      id: 'r',
      sessionId: 's',
    });
    expect(client.responses().map(({ id }) => id as string)).toEqual([...names, 'r']);
    expect(client.response('r')).toMatchObject({ data: { sessionName: 'n19', sessionVersion: 21 } });
  });

  it('is listed as it is, and counted, without coming back', async () => {
    const scene = await createScene();
    const { world, send, response } = scene;
    await send(
      { type: 'create_session', id: 'c2', sessionId: 'second' },
      { type: 'set_session_name', sessionId: 's', name: 'shown' },
    );
    await send({ type: 'list_sessions', id: 'before' });
    await world.advance(IDLE_MS * 2);
    await send({ type: 'list_sessions', id: 'after' }, { type: 'get_metrics', id: 'm' });
    expect(response('after')!['data']).toEqual(response('before')!['data']);
    expect(response('m')!['data']).toMatchObject({ sessionCount: 2, live: { sessions: 0, passive: 2 } });
    // Paging goes on behind one that is not in memory.
    await send({ type: 'list_sessions', id: 'p1', limit: 1 });
    const cursor = String(response('p1')!['data'].nextCursor);
    await send({ type: 'list_sessions', id: 'p2', limit: 1, cursor });
    expect(response('p2')!['data'].sessions).toMatchObject([{ sessionId: 'second' }]);
  });

  it('is there for create_session, and counts against the limit', async () => {
    const { send, response } = await passive({ limits: { sessionsMax: 1 } });
    await send(
      { type: 'create_session', id: 'c1', sessionId: 's' },
      { type: 'create_session', id: 'c2', sessionId: 't' },
    );
    expect(response('c1')).toMatchObject({ errorCode: 'SESSION_EXISTS' });
    expect(response('c2')).toMatchObject({ errorCode: 'SESSION_LIMIT' });
  });

  it('keeps its idempotency keys: the same key finds its outcome, also in the session that came back', async () => {
    const { world, send, response } = await passive();
    const again = { type: 'set_session_name', sessionId: 's', name: 'first', idempotencyKey: 'k' };
    await send({ ...again, id: 'again-1' });
    expect(response('again-1')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
    expect(world.system.live.passive).toBe(1);
    await send({ type: 'get_state', sessionId: 's' }, { ...again, id: 'again-2' });
    expect(response('again-2')).toMatchObject({ success: true, replayed: true });
  });

  it('can be deleted, and made again under its name', async () => {
    const { world, send, response } = await passive();
    await send({ type: 'delete_session', id: 'd', sessionId: 's' });
    expect(response('d')).toMatchObject({ success: true });
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 0 });
    await send({ type: 'create_session', id: 'c', sessionId: 's' }, { type: 'get_state', id: 'r', sessionId: 's' });
    expect(response('r')).toMatchObject({ data: { sessionVersion: 0 } });
    const lane = (await entriesOf(world.store)).filter((entry) => entry.lane === 'session:s');
    expect(lane.map(({ laneSeq }) => laneSeq)).toEqual(lane.map((_, index) => index + 1));
  });

  it('shows its viewers what happens in it when it is back', async () => {
    const { client, send } = await passive();
    await send({ type: 'set_session_name', id: 'n2', sessionId: 's', name: 'second' });
    expect(client.of('event').map(({ event, seq }) => [event.type as string, seq as number])).toEqual([
      ['session_changed', 2],
    ]);
  });

  it('keeps messages that wait for its next turn', async () => {
    const { world, engine, send, prompt } = await createScene();
    await send({ type: 'steer', sessionId: 's', message: 'kept' });
    await world.advance(IDLE_MS * 1.5);
    expect(world.system.live.passive).toBe(1);
    await prompt('p');
    expect(JSON.stringify(engine.turn.request.steers)).toContain('kept');
  });

  it('that can not be read answers JOURNAL_UNAVAILABLE, and the same frames act when it can', async () => {
    const journal = createFaultyJournal(createMemoryJournal({ store: createMemoryStore() }));
    const { world, client, send, response } = await passive({ journal });
    journal.fail('scan', new Error('planted'));
    const frames = [
      { type: 'get_state', id: 'r', sessionId: 's' },
      { type: 'set_session_name', id: 'n2', sessionId: 's', name: 'x', idempotencyKey: 'k2' },
      { type: 'set_session_name', id: 'n3', sessionId: 's', name: 'y', dependsOn: ['n2'] },
      { type: 'create_session', id: 'c', sessionId: 's' },
    ];
    const before = world.system.live.known;
    await send(...frames, { ...frames[1]!, id: 'n2-again' });
    expect(client.responses().map(({ id, errorCode }) => [id, errorCode] as unknown[])).toEqual(
      ['r', 'n2', 'n2-again', 'n3', 'c'].map((id) => [id, 'JOURNAL_UNAVAILABLE']),
    );
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1, mailboxes: 0, timers: 0, known: before });
    journal.mend();
    await send(...frames);
    expect(response('r')).toMatchObject({ success: true, data: { sessionName: 'first' } });
    expect(response('n2')).toMatchObject({ success: true, sessionVersion: 2 });
    expect(response('n3')).toMatchObject({ success: true, sessionVersion: 3 });
    expect(response('c')).toMatchObject({ errorCode: 'SESSION_EXISTS' });
    await send({ type: 'get_metrics', id: 'm' });
    expect(response('m')!['data'].commands).toMatchObject({ refused: { JOURNAL_UNAVAILABLE: 4 }, inFlight: 1 });
  });

  it('whose lane takes too long to be read lets its commands time out', async () => {
    const inside = createMemoryJournal({ store: createMemoryStore() });
    let hangs = false;
    const journal = Object.assign(Object.create(inside) as typeof inside, {
      durability: inside.durability,
      location: inside.location,
      open: () => inside.open(),
      append: inside.append.bind(inside),
      head: (lane: string) => inside.head(lane),
      read: (offset: number) => inside.read(offset),
      close: () => inside.close(),
      keepSnapshot: inside.keepSnapshot.bind(inside),
      checkpoints: () => inside.checkpoints(),
      snapshot: (lane: string) => inside.snapshot(lane),
      scan: (range: Parameters<typeof inside.scan>[0]) =>
        hangs && range.lane !== undefined ? new Promise<never>(() => undefined) : inside.scan(range),
    });
    const { world, send, response } = await passive({ journal });
    hangs = true;
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    await world.advance(limits.shortMs - 1);
    expect(response('r')).toBeUndefined();
    await world.advance(1);
    expect(response('r')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT', timedOut: true });
  });

  it('whose lane can not be folded is set aside, and can be deleted', async () => {
    const scene = await passive();
    const { store } = scene.world;
    store.snapshots.clear();
    const row = store.rows.findLast((one) => one?.record.lane === 'session:s')!;
    const content = JSON.stringify({ ...(JSON.parse(row.record.content) as object), events: 7 });
    store.rows[row.record.offset - 1] = { ...row, record: { ...row.record, content } };
    await scene.send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(scene.response('r')).toMatchObject({ errorCode: 'SESSION_QUARANTINED' });
    await scene.send({ type: 'delete_session', id: 'd', sessionId: 's' });
    expect(scene.response('d')).toMatchObject({ success: true });
    expect(scene.world.system.live).toMatchObject({ sessions: 0, passive: 0 });
  });

  it('is read while nothing can be written, and goes on when it can be', async () => {
    const { world, send, response } = await passive();
    world.journal.keepFailing(new Error('disk full'));
    await send({ type: 'set_session_name', id: 'n2', sessionId: 's', name: 'lost' });
    await world.advance(1_000);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(response('r')).toMatchObject({ success: true, stale: true, data: { sessionName: 'first' } });
    world.journal.mend();
    await world.advance(10_000);
    await send({ type: 'set_session_name', id: 'n3', sessionId: 's', name: 'written' });
    expect(response('n3')).toMatchObject({ success: true, sessionVersion: 2 });
  });

  it('is warned before its end, and ends on time without coming back for that', async () => {
    const { world, client, send, response } = await createScene();
    const until = async (at: number) => world.advance(at - world.clock.now());
    await send({ type: 'create_session', id: 'c', sessionId: 'short', ttl: 2 * 3_600_000 });
    const madeAt = world.clock.now();
    await until(madeAt + 3_600_000 - 1);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 2, leases: 2 });
    await send({ type: 'attach_session', sessionId: 'short' });
    client.frames.length = 0;
    await until(madeAt + 3_600_000);
    expect(client.events()).toEqual(['session_expiring']);
    await until(madeAt + 2 * 3_600_000 - 1);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 2 });
    await until(madeAt + 2 * 3_600_000);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1, leases: 1 });
    expect(client.of('session_deleted')).toMatchObject([{ data: { sessionId: 'short', reason: 'expired' } }]);
    await send(
      { type: 'get_state', id: 'r', sessionId: 'short' },
      { type: 'create_session', id: 'c2', sessionId: 'short' },
    );
    expect(response('r')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(response('c2')).toMatchObject({ success: true });
    expect(await world.journal.verify(world.store.rows.length)).toMatchObject({ ok: true });
  });

  it.each([
    ['a pattern', { patterns: ['sk-[a-z0-9]{6,}'], keys: [] }],
    ['the name of a field', { patterns: [], keys: ['name', 'labels', 'model', 'message', 'cwd'] }],
  ])(
    'is stored as redaction leaves it: its snapshot and the checkpoint that lists it, by %s',
    async (_by, redaction) => {
      const secret = 'sk-abcdef123456';
      const { world, engine, send, prompt } = await createScene({ redaction });
      await send({ type: 'create_session', sessionId: 'x', labels: { of: secret }, name: secret });
      await send({ type: 'set_session_name', sessionId: 's', name: `named ${secret}` });
      await prompt('p', 'x');
      engine.turn.emit({ type: 'session_changed', fields: { model: { id: secret } } });
      engine.turn.emit({ type: 'message_end', message: { role: 'user', content: [{ type: 'text', text: secret }] } });
      engine.turn.finish();
      await world.advance(IDLE_MS * 1.5);
      expect([...world.store.snapshots.keys()].sort()).toEqual(['session:s', 'session:x']);
      await world.stop();
      expect(world.store.checkpoints).toHaveLength(1);
      const stored = [...world.store.parts.values()].map((bytes) => new TextDecoder().decode(bytes));
      const text = JSON.stringify([[...world.store.snapshots.values()], stored]);
      expect(text).toContain('[redacted]');
      expect(text).not.toContain(secret);
      // What its entries say is the same.
      const next = createWorld({ store: copyStore(world.store), engines: [new ManualEngine()] });
      await next.start();
      const { state } = JSON.parse(world.store.snapshots.get('session:x')!.body) as { state: unknown };
      expect(state).toEqual(next.system.session('x')!.state);
      expect(state).toMatchObject({ cwd: null });
    },
  );

  it.each([
    ['its input', { input: { token: 'sk-abcdef123456' } }, []],
    ['where it works', { cwd: '/home/sk-abcdef123456' }, []],
    ['a message that waits', {}, [{ type: 'steer', sessionId: 'x', message: 'sk-abcdef123456' }]],
  ])(
    'is none as long as redaction took %s from what is stored: its engine is given all of it',
    async (_what, of, then) => {
      const redaction = { patterns: ['sk-[a-z0-9]{6,}'], keys: ['cwd'] };
      const { world, engine, send, prompt } = await createScene({ redaction });
      await send({ type: 'create_session', sessionId: 'x', ...of }, ...then);
      await world.advance(IDLE_MS * 3);
      expect(world.system.live).toMatchObject({ sessions: 1, passive: 1 });
      await prompt('p', 'x');
      const { sessionInput, cwd, steers } = engine.turn.request;
      expect(JSON.stringify([sessionInput, cwd, steers])).toContain('sk-abcdef123456');
    },
  );
});

it(
  'ten thousand sessions that rest, are asked, rest again and are deleted leave nothing behind',
  { timeout: 120_000 },
  async () => {
    const HOUR_MS = 3_600_000;
    const { world, client } = await createScene({
      limits: { sessionsMax: 20_000, idempotencyEntriesMax: 100, idempotencyCacheBytesMax: 10_000, pendingMax: 20_000 },
    });
    const deaf = world.connect();
    deaf.write = () => undefined;
    deaf.send({ type: 'unsubscribe', topics: ['lifecycle', 'sessions'] });
    client.leave();
    await world.advance(IDLE_MS * 1.5);
    const before = world.system.live;
    expect(before).toMatchObject({ sessions: 0, passive: 1 });
    const inRounds = async (frame: (sessionId: string) => object, rest: boolean): Promise<void> => {
      for (let round = 0; round < 20; round += 1) {
        for (let index = 0; index < 500; index += 1) deaf.send(frame(`x${round}-${index}`));
        await world.settle();
        expect(world.system.live.mailboxes).toBeLessThanOrEqual(500);
        if (rest) await world.advance(IDLE_MS * 1.5);
      }
    };
    await inRounds((sessionId) => ({ type: 'create_session', sessionId, ttl: 24 * HOUR_MS }), true);
    const resting = { ...before, passive: 10_001, leases: 10_001, known: world.system.live.known };
    expect(world.system.live).toEqual(resting);
    await inRounds((sessionId) => ({ type: 'set_session_name', sessionId, name: 'n' }), true);
    expect(world.system.live).toEqual({ ...resting, known: world.system.live.known });
    await inRounds((sessionId) => ({ type: 'delete_session', sessionId }), false);
    await world.advance(IDLE_MS * 1.5);
    expect(world.system.live).toEqual({ ...before, known: world.system.live.known });
    // The lease of the session that is left.
    expect(world.clock.pendingTimers).toBe(1);
  },
);
