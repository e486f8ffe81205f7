/** R8, R9, C2, F4, F6, X10: the lease belongs to its session: from its creation, whatever is configured later, to its end. */
import { describe, expect, it } from 'vitest';
import { DueTimes } from '../../actors/due-times.ts';
import { ExpiredSessions } from '../../actors/expired-sessions.ts';
import type { CommandSettled } from '../../actors/entry.ts';
import type { SessionOpened } from '../../actors/session/event.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { foldSessions } from '../support/fold.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import { createLife, entriesIn, eventsOf, HOUR_MS, MINUTE_MS, policy } from './lifetime.ts';

describe('R9: a session', () => {
  it('begins with the time of its creation as its last activity, and with no extension', async () => {
    const life = await createLife();
    const state = life.world.system.session('s')!.state!;
    expect(state).toMatchObject({ createdAt: life.createdAt, lastActivityAt: life.createdAt });
    expect(state.lease).toEqual({
      policy,
      deadlineAt: life.createdAt + policy.baseMs,
      extensions: 0,
      extendedAt: null,
      announced: false,
      inherited: false,
    });
  });

  it('keeps the policy that it was created with, whatever the next server is configured to', async () => {
    const life = await createLife();
    const store = copyStore(life.world.store);
    const world = createWorld({ store, clock: life.world.clock, limits: { lease: { ...policy, baseMs: 1 } } });
    await world.start();
    expect(world.system.session('s')!.state!.lease.policy).toEqual(policy);
  });

  it('of a journal that is older than lifetimes gets the defaults of then, and a whole life before it ends', async () => {
    const clock = createSimulatedClock();
    const store = await olderStore(clock);
    const [folded] = foldSessions(await entriesOf(store)).values();
    const createdAt = folded!.state!.createdAt;
    expect(folded!.state!.lease).toMatchObject({
      deadlineAt: createdAt + 24 * HOUR_MS,
      policy: { baseMs: 24 * HOUR_MS, extensionMs: 6 * HOUR_MS, extensionsMax: 4, thresholdMs: HOUR_MS },
      extensions: 0,
      inherited: true,
    });
    await clock.advanceAsync(100 * HOUR_MS);
    const world = createWorld({ store, clock, limits: { lease: policy } });
    await world.start();
    const bootAt = clock.now();
    const lease = () => world.system.session('s')?.state?.lease;
    expect(lease()).toMatchObject({ deadlineAt: bootAt + 24 * HOUR_MS, extensions: 0, inherited: false });
    // A second start gives it nothing more.
    const again = createWorld({ store: copyStore(store), clock, limits: { lease: policy } });
    await again.start();
    expect(again.system.session('s')!.state!.lease).toEqual(lease());
    const client = world.connect();
    client.send({ type: 'attach_session', sessionId: 's' });
    await world.advance(23 * HOUR_MS);
    expect(eventsOf(client, 'session_expiring')).toHaveLength(1);
    await world.advance(HOUR_MS);
    expect(world.system.session('s')).toBeUndefined();
    expect(await world.journal.verify(Infinity)).toMatchObject({ ok: true });
  });
});

/** A journal with a session `s` as it was written before there were lifetimes. */
async function olderStore(clock: ReturnType<typeof createSimulatedClock>) {
  const life = await createLife({ clock });
  const store = createMemoryStore();
  const journal = createMemoryJournal({ store });
  await journal.open();
  const entries = (await entriesOf(life.world.store)).map((entry) => {
    if (entry.kind !== 'command.settled' || entry.commandType !== 'create_session') return entry;
    const facts = entry.content.facts!.map((fact) => {
      const { lease: _, ...older } = fact as SessionOpened;
      return older;
    });
    return { ...entry, content: { ...entry.content, facts } } satisfies CommandSettled;
  });
  const stored = new Promise<void>((resolve) => journal.append(entries, () => resolve()));
  clock.flush();
  await stored;
  return copyStore(store);
}

describe('C2: create_session.ttl', () => {
  it('is how long this session lives', async () => {
    const life = await createLife();
    expect(await life.ask('create_session', { sessionId: 'short', ttl: 90 * MINUTE_MS })).toMatchObject({
      success: true,
    });
    await life.at(90 * MINUTE_MS - 1);
    expect(await life.ask('get_state', { sessionId: 'short' })).toMatchObject({ success: true });
    await life.at(90 * MINUTE_MS);
    expect(await life.ask('get_state', { sessionId: 'short' })).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await life.ask('get_state')).toMatchObject({ success: true });
  });

  it('bounds what activity adds: the first word to a session of two seconds does not make hours of them', async () => {
    const life = await createLife();
    await life.ask('create_session', { sessionId: 'short', ttl: 2_000 });
    await life.at(500);
    await life.ask('set_session_name', { sessionId: 'short', name: 'n' });
    expect(life.world.system.session('short')!.state!.lease).toMatchObject({ extensions: 0 });
    await life.at(1_500);
    await life.ask('set_session_name', { sessionId: 'short', name: 'n' });
    expect(life.world.system.session('short')!.state!.lease).toMatchObject({
      extensions: 1,
      deadlineAt: life.createdAt + 4_000,
    });
  });

  it.each([0, -1, 1.5, '60000', 31 * 24 * HOUR_MS])('of %j is refused', async (ttl) => {
    const life = await createLife();
    expect(await life.ask('create_session', { sessionId: 'x', ttl })).toMatchObject({
      errorCode: 'VALIDATION_FAILED',
      details: [{ path: 'ttl' }],
    });
  });
});

describe('R8: the deadline', () => {
  it('is moved once by a hundred who come at the same time', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - MINUTE_MS);
    const clients = Array.from({ length: 100 }, () => life.world.connect());
    clients.forEach((client, index) => {
      client.send({ type: 'set_session_name', id: `n${index}`, sessionId: 's', name: `n${index}` });
    });
    await life.world.settle();
    clients.forEach((client, index) => expect(client.response(`n${index}`)).toMatchObject({ success: true }));
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs + policy.extensionMs, extensions: 1 });
    expect(await entriesIn(life.world, 'lease.extended')).toHaveLength(1);
  });

  it('is not changed by an ordinary update', async () => {
    const life = await createLife();
    const before = structuredClone(life.world.system.session('s')!.state!.lease);
    for (let count = 0; count < 20; count += 1) await life.touch();
    await life.prompt('p');
    life.engine.turn.speak('a');
    life.engine.turn.finish();
    await life.world.settle();
    expect(life.world.system.session('s')!.state!.lease).toEqual(before);
  });

  it('ends everything of the session: viewers are told, the engine forgets it, and nothing is left', async () => {
    const life = await createLife();
    await life.prompt('p');
    life.engine.turn.finish();
    await life.at(policy.baseMs);
    expect(life.client.of('session_deleted')).toEqual([
      { type: 'session_deleted', data: { sessionId: 's', reason: 'expired' } },
    ]);
    expect(life.engine.forgotten).toEqual(['s']);
    expect(life.world.system.live).toMatchObject({
      sessions: 0,
      mailboxes: 0,
      children: 0,
      leases: 0,
      timers: 0,
      held: 0,
    });
    expect(life.world.clock.pendingTimers).toBe(0);
    expect(life.world.observations).toContainEqual(
      expect.objectContaining({ level: 'info', message: 'session expired', sessionId: 's' }),
    );
    // Whoever was attached may attach to the next one of that name.
    await life.send(
      { type: 'create_session', sessionId: 's' },
      { type: 'attach_session', id: 'again', sessionId: 's' },
    );
    expect(life.response('again')).toMatchObject({ success: true, sessionVersion: 0 });
  });

  it('F4: counts also when its timer has not run: the first command at it finds the session expired', async () => {
    const life = await createLife();
    const { clock } = life.world;
    await life.at(policy.baseMs - 1);
    // The event loop was held up: time has passed, and no timer has had its turn.
    const now = clock.now();
    clock.now = () => now + 1;
    life.client.send({ type: 'list_sessions', id: 'list' });
    life.client.send({ type: 'get_state', id: 'state', sessionId: 's' });
    await life.world.settle();
    expect(life.response('list')).toMatchObject({ data: { sessions: [], total: 0 } });
    expect(life.response('state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await entriesIn(life.world, 'session.expired')).toHaveLength(1);
  });

  it('X10: of what never was is unknown, never active', async () => {
    const life = await createLife();
    expect(await life.ask('get_state', { sessionId: 'nobody' })).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    expect(life.world.system.live.leases).toBe(1);
  });

  it('X10: is announced before, so that whoever wants to keep something can', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - policy.thresholdMs);
    expect(eventsOf(life.client, 'session_expiring')).toHaveLength(1);
    expect(await life.ask('get_messages')).toMatchObject({ success: true });
  });
});

describe('F6, C10: of ten thousand sessions that expired', () => {
  it('nothing is left but their names, and of these the newest', { timeout: 120_000 }, async () => {
    const life = await createLife({
      limits: {
        sessionsMax: 20_000,
        idempotencyEntriesMax: 100,
        idempotencyCacheBytesMax: 10_000,
        pendingMax: 20_000,
        // The one that stays is counted as well.
        passivationIdleMs: 24 * HOUR_MS,
      },
    });
    const deaf = life.world.connect();
    deaf.write = () => undefined;
    deaf.send({ type: 'unsubscribe', topics: ['lifecycle', 'sessions'] });
    life.client.leave();
    await life.world.settle();
    const before = life.world.system.live;
    for (let round = 0; round < 100; round += 1) {
      for (let index = 0; index < 100; index += 1) {
        deaf.send({ type: 'create_session', sessionId: `x${round}-${index}`, ttl: MINUTE_MS });
      }
      await life.world.settle();
      expect(life.world.system.live).toMatchObject({ sessions: 101, leases: 101 });
      await life.world.advance(MINUTE_MS);
    }
    expect(life.world.system.live).toEqual({ ...before, known: life.world.system.live.known });
    expect(await entriesIn(life.world, 'session.expired')).toHaveLength(10_000);
  });

  it('the names are bounded: who comes after that is told that there is no such session', () => {
    const expired = new ExpiredSessions(3);
    for (const id of ['a', 'b', 'c', 'a', 'd']) expired.add(id);
    expect(['a', 'b', 'c', 'd'].filter((id) => expired.has(id))).toEqual(['a', 'c', 'd']);
    expired.delete('c');
    for (const id of ['e', 'f']) expired.add(id);
    expect(['a', 'c', 'd', 'e', 'f'].filter((id) => expired.has(id))).toEqual(['d', 'e', 'f']);
    expect(expired.size).toBe(3);
  });

  it('their times come in order, however they were changed', () => {
    const due = new DueTimes();
    const times = new Map<string, number>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let step = 0; step < 5_000; step += 1) {
      const id = `s${random(300)}`;
      if (random(3) === 0) {
        due.delete(id);
        times.delete(id);
      } else {
        const at = random(1_000);
        due.set(id, at);
        times.set(id, at);
      }
      expect(due.size).toBe(times.size);
      expect(due.next).toBe(Math.min(Infinity, ...times.values()));
      expect(due.of(id)).toBe(times.get(id) ?? Infinity);
    }
    const taken: number[] = [];
    for (let id = due.take(); id !== undefined; id = due.take()) taken.push(times.get(id)!);
    expect(taken).toEqual([...times.values()].sort((a, b) => a - b));
  });
});
