/** A session's content is gone from everywhere when its purge is answered; what names, orders and ends things is not. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, derivedOf, entriesOf } from '../support/store.ts';
import { createWorld, limits } from '../support/world.ts';
import type { Client, World } from '../support/world.ts';

const SECRET = 'xyzzy-plugh';
const PURGE = { type: 'purge_session', id: 'purge', sessionId: 's' };
const RENAME = { type: 'set_session_name', id: 'rename', sessionId: 's', name: `${SECRET} name` };
const READ = { type: 'get_messages', id: 'read', sessionId: 's' };

/** A session with history, and another one that says the same. */
async function talk(client: Client, act: () => Promise<void>): Promise<void> {
  for (const sessionId of ['s', 'other']) {
    client.send({ type: 'create_session', id: `c-${sessionId}`, sessionId, labels: { [SECRET]: SECRET }, cwd: '/tmp' });
    client.send({ type: 'prompt', id: `p-${sessionId}`, sessionId, message: `say ${SECRET}` });
  }
  client.send(RENAME);
  client.send({ type: 'set_session_name', id: 'twice', sessionId: 's', name: SECRET, ifSessionVersion: 99 });
  client.send({ type: 'create_session', id: 'again', sessionId: 's', name: SECRET });
  await act();
  client.send(READ);
  client.send({ type: 'list_sessions', id: 'list' });
  await act();
}

/** What an entry is known by, and how it ended. */
function shapeOf(entry: Entry): unknown {
  const { content: _, blanked: _1, ...shape } = entry;
  return shape;
}

function about(entries: readonly Entry[], sessionId: string): Entry[] {
  return entries.filter((entry) => 'sessionId' in entry && entry.sessionId === sessionId);
}

async function reborn(store: MemoryStore): Promise<{ world: World; client: Client }> {
  const world = createWorld({ store: copyStore(store) });
  await world.start();
  return { world, client: world.connect() };
}

describe('Purge removes the content of a session and keeps ids, outcomes and chain', () => {
  it('in the journal, with every entry where it was', async () => {
    const world = createWorld();
    await world.start();
    const client = world.connect();
    await talk(client, () => world.advance(10_000));
    const before = await entriesOf(world.store);
    client.send(PURGE);
    await world.settle();
    const response = client.response('purge');
    expect(response).toMatchObject({ success: true, data: { sessionId: 's', erased: true } });
    const after = await entriesOf(world.store);
    expect(after.slice(0, before.length).map(shapeOf)).toEqual(before.map(shapeOf));
    expect(after.slice(before.length).map(({ kind, lane }) => `${kind} ${lane}`)).toEqual([
      'command.accepted server',
      'session.purged session:s',
      'command.finished server',
    ]);
    expect(JSON.stringify(about(after, 's'))).not.toContain(SECRET);
    expect(about(after, 's').filter(({ blanked }) => blanked)).toHaveLength(response?.['data'].entries);
    expect(about(after, 'other')).toEqual(about(before, 'other'));
    const report = await world.journal.verify(after.length);
    expect(report).toMatchObject({ ok: true, problems: [], sessions: 1 });
  });

  it('in memory: what is repeated is known, says that it is redacted, and shows nothing', async () => {
    const world = createWorld();
    await world.start();
    const client = world.connect();
    await talk(client, () => world.advance(10_000));
    client.send(PURGE);
    await world.settle();
    const { client: other } = await reborn(world.store);
    for (const [asks, of] of [
      [client, world],
      [other, undefined],
    ] as const) {
      asks.frames.length = 0;
      asks.send(RENAME);
      asks.send({ type: 'create_session', id: 'again', sessionId: 's', name: SECRET });
      asks.send({ type: 'create_session', id: 'c-s', sessionId: 's', labels: { [SECRET]: SECRET }, cwd: '/tmp' });
      asks.send({ ...RENAME, name: 'another one' });
      asks.send(READ);
      for (let round = 0; round < 100; round += 1) await Promise.resolve();
      await of?.settle();
      const found = asks.responses();
      const told = (id: string) => found.filter((frame) => frame['id'] === id);
      expect(told('rename')).toMatchObject([
        { success: true, replayed: true, details: { redacted: true }, sessionVersion: 2 },
        { success: false, errorCode: 'ID_CONFLICT' },
      ]);
      expect(told('again')).toMatchObject([
        { success: false, errorCode: 'SESSION_EXISTS', replayed: true, details: { redacted: true } },
      ]);
      expect(told('c-s')).toMatchObject([{ success: true, replayed: true, details: { redacted: true } }]);
      expect(told('c-s')[0]).not.toHaveProperty('data');
      expect(told('read')).toMatchObject([{ success: false, errorCode: 'SESSION_NOT_FOUND' }]);
      expect(asks.texts.slice(-found.length).join('')).not.toContain(SECRET);
    }
  });

  it('ends what runs and waits, and tells those who look', async () => {
    const { world, client, engine, send, prompt } = await createScene();
    await send({ type: 'subscribe', id: 'sub', topics: ['sessions'] });
    await prompt('runs');
    await prompt('waits');
    client.frames.length = 0;
    await send(PURGE);
    const aborted = { errorCode: 'COMMAND_ABORTED', error: 'Session was purged' };
    expect(client.response('runs')).toMatchObject(aborted);
    expect(client.response('waits')).toMatchObject(aborted);
    expect(client.response('purge')).toMatchObject({ success: true });
    expect(client.of('session_deleted')).toMatchObject([{ data: { sessionId: 's', reason: 'purged' } }]);
    expect(engine.turn.request.signal.aborted).toBe(true);
    await send({ type: 'create_session', id: 'next', sessionId: 's' }, { type: 'get_state', id: 'g', sessionId: 's' });
    expect(client.response('next')).toBeUndefined();
    engine.turn.finish();
    await world.settle();
    expect(client.response('next')).toMatchObject({ success: true });
    expect(client.response('g')).toMatchObject({ success: true });
    expect(await world.journal.verify(world.store.rows.length)).toMatchObject({ ok: true, problems: [] });
  });

  it('of a session that is over, and twice the same', async () => {
    const { world, client, send } = await createScene();
    await send(RENAME, { type: 'delete_session', id: 'd', sessionId: 's' });
    await send(PURGE);
    expect(client.response('purge')).toMatchObject({ success: true, data: { sessionId: 's', erased: true } });
    expect(client.response('purge')?.['data'].entries).toBeGreaterThan(0);
    expect(JSON.stringify(await entriesOf(world.store))).not.toContain(SECRET);
    const purged = (await entriesOf(world.store)).filter(({ kind }) => kind === 'session.purged');
    expect(purged).toMatchObject([{ lane: 'server', sessionId: 's' }]);
    await send(PURGE);
    expect(client.response('purge')).toMatchObject({ success: true, replayed: true });
    await send({ ...PURGE, id: 'second' });
    expect(client.response('second')).toMatchObject({ success: true, data: { entries: 0, erased: true } });
    await send({ ...PURGE, id: 'typo', sessionId: 'nobody' });
    expect(client.response('typo')).toMatchObject({ success: false, errorCode: 'SESSION_NOT_FOUND' });
    expect(await world.journal.verify(world.store.rows.length)).toMatchObject({ ok: true, problems: [] });
  });

  it('of a session that is being opened', async () => {
    const { client, engine, send, world } = await createScene();
    engine.ready = false;
    await send({ type: 'create_session', id: 'c', sessionId: 'new', name: SECRET }, { ...RENAME, sessionId: 'new' });
    await send({ ...PURGE, sessionId: 'new' });
    for (const id of ['c', 'rename']) expect(client.response(id)).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
    expect(client.response('purge')).toMatchObject({ success: true });
    expect(JSON.stringify(await entriesOf(world.store))).not.toContain(SECRET);
    expect(world.system.live.sessions).toBe(1);
  });

  it('of one that is not in memory, whatever becomes of what is read meanwhile', async () => {
    const journal = createMemoryJournal({ store: createMemoryStore() });
    const scan = journal.scan.bind(journal);
    const held = new Map<string, Promise<void>>();
    let goesOn = (): void => undefined;
    journal.scan = async (range) => {
      await held.get(range.lane ?? '');
      return scan(range);
    };
    const { world, send, response } = await createScene({ journal });
    await send({ type: 'create_session', sessionId: 'slow' }, { type: 'create_session', sessionId: 'other' });
    await world.advance(limits.passivationIdleMs * 2);
    expect(world.system.live.passive).toBe(3);
    // Another one takes for ever to be read.
    held.set('session:slow', new Promise(() => undefined));
    await send({ type: 'get_state', sessionId: 'slow' }, { type: 'purge_session', id: 'p1', sessionId: 'other' });
    expect(response('p1')).toMatchObject({ success: true });
    // What waited for it is given up while it is being read, and begun again by what takes its place.
    held.set('session:s', new Promise((resolve) => (goesOn = resolve)));
    await send({ type: 'purge_session', id: 'p2', sessionId: 's' });
    world.system.transportsFailed(new Error('planted'));
    await world.settle();
    held.clear();
    goesOn();
    await world.advance(60_000);
    expect(response('p2')).toMatchObject({ success: true, data: { sessionId: 's' } });
    expect(world.system.live).toMatchObject({ sessions: 1, passive: 0 });
  });

  it('only for who may operate the server', async () => {
    const { world } = await createScene();
    const driver = world.connect({ id: 'driver', scopes: ['observe', 'drive'] });
    driver.send(PURGE);
    await world.settle();
    expect(driver.response('purge')).toMatchObject({ success: false, errorCode: 'FORBIDDEN' });
    expect(world.system.session('s')).toBeDefined();
  });

  it('with the process killed between any two steps: the next boot goes on, and it is told as done', async () => {
    const store = createMemoryStore();
    const inside = createMemoryJournal({ store });
    const copies: MemoryStore[] = [];
    const journal = {
      ...bound(inside),
      append: (entries: Parameters<typeof inside.append>[0], done: (error?: Error) => void) =>
        inside.append(entries, (error) => {
          copies.push(copyStore(store));
          done(error);
        }),
      blank: async (range: Parameters<typeof inside.blank>[0]) => {
        copies.push(copyStore(store));
        const blanked = await inside.blank(range);
        copies.push(copyStore(store));
        return blanked;
      },
    };
    const world = createWorld({ store, journal });
    await world.start();
    const client = world.connect();
    await talk(client, () => world.advance(10_000));
    copies.length = 0;
    client.send(PURGE);
    await world.settle();
    expect(client.response('purge')).toMatchObject({ success: true });
    expect(copies.length).toBeGreaterThan(5);
    for (const copy of copies) {
      const { world: next, client: again } = await reborn(copy);
      await next.settle();
      again.send(PURGE);
      await next.settle();
      expect(again.response('purge')).toMatchObject({ success: true, replayed: true, data: { sessionId: 's' } });
      const entries = await entriesOf(next.store);
      expect(JSON.stringify(about(entries, 's'))).not.toContain(SECRET);
      const ends = entries.filter((entry) => entry.kind === 'command.finished' && entry.commandId === 'purge');
      expect(ends).toHaveLength(1);
      expect(await next.journal.verify(entries.length)).toMatchObject({ ok: true, problems: [], sessions: 1 });
      expect(next.system.session('s')).toBeUndefined();
    }
  });

  it('never runs work from a command whose text was removed', async () => {
    const { world, client, send, prompt } = await createScene();
    await prompt('runs');
    await send({ type: 'prompt', id: 'waits', sessionId: 's', message: SECRET });
    const store = copyStore(world.store);
    const journal = createMemoryJournal({ store });
    await journal.open();
    await journal.blank({ through: store.rows.length, lane: 'session:s', keepOpenings: true });
    await journal.close();
    expect(client.response('waits')).toBeUndefined();
    const { world: next, client: again } = await reborn(store);
    again.send({ type: 'prompt', id: 'waits', sessionId: 's', message: SECRET });
    await next.settle();
    expect(again.response('waits')).toMatchObject({
      errorCode: 'INTERRUPTED',
      replayed: true,
      details: { reason: 'redacted' },
    });
  });
});

function bound(journal: ReturnType<typeof createMemoryJournal>) {
  return {
    ...derivedOf(journal),
    durability: journal.durability,
    location: journal.location,
    open: () => journal.open(),
    scan: (range: Parameters<typeof journal.scan>[0]) => journal.scan(range),
    head: (lane: string) => journal.head(lane),
    read: (offset: number) => journal.read(offset),
    backup: (at: number) => journal.backup(at),
    verify: (last: number) => journal.verify(last),
    close: () => journal.close(),
  };
}
