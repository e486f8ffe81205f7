/** What goes wrong at the very moment when a session's life is extended, announced or ended. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Session } from '../../actors/session/session.ts';
import { createLife, entriesIn, eventsOf, MINUTE_MS, policy } from '../requirements/lifetime.ts';
import type { Life } from '../requirements/lifetime.ts';
import { copyStore } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

afterEach(() => void vi.restoreAllMocks());

const expiries = async ({ world }: Life) => (await entriesIn(world, 'session.expired')).length;

describe('the journal that fails when a session expires', () => {
  it('shows nothing of it, and the session is expired once when it takes entries again', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - 1);
    life.world.journal.keepFailing(full());
    await life.at(policy.baseMs);
    expect(life.client.of('session_deleted')).toEqual([]);
    expect(await expiries(life)).toBe(0);
    // Nothing can be recorded, and its time is over all the same.
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await life.ask('list_sessions')).toMatchObject({ data: { sessions: [] } });
    life.world.journal.mend();
    await life.world.advance(MINUTE_MS);
    expect(life.client.of('session_deleted').map(({ data }) => data as unknown)).toEqual([
      { sessionId: 's', reason: 'expired' },
    ]);
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await expiries(life)).toBe(1);
    expect(life.world.system.live).toMatchObject({ sessions: 0, leases: 0, timers: 0, held: 0 });
  });

  it('and stored it all the same, leaves it expired once', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - 1);
    life.world.journal.hold();
    await life.at(policy.baseMs);
    life.world.journal.die(new Error('the thread ended'));
    life.world.journal.pass();
    await life.world.advance(MINUTE_MS);
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await expiries(life)).toBe(1);
    expect(await life.world.journal.verify(Infinity)).toMatchObject({ ok: true });
  });
});

describe('a session that was accepted work when the journal failed', () => {
  it('is kept alive by it beyond its deadline, and expires behind it', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - MINUTE_MS);
    await life.prompt('p');
    await life.prompt('next');
    // The prompts were activity; this time nothing of that is left.
    const { deadlineMs } = await life.lease();
    await life.at(deadlineMs - MINUTE_MS / 2);
    expect(await life.ask('get_state')).toMatchObject({ success: true });
    life.world.journal.keepFailing(full());
    await life.ask('set_session_name', { name: 'x', dependsOn: [] });
    await life.at(deadlineMs);
    life.world.journal.mend();
    await life.world.advance(MINUTE_MS);
    expect(await expiries(life)).toBe(1);
    expect(await life.world.journal.verify(Infinity)).toMatchObject({ ok: true });
  });
});

describe('a defect in a session', () => {
  it.each(['session.expired', 'session.event'])(
    'that shows when %s is recorded leaves it to the rebuilt one',
    async (kind) => {
      // In memory all the time: of one that is not, nothing can be touched by a defect.
      const life = await createLife({ limits: { passivationIdleMs: 2 ** 31 - 1 } });
      const before = kind === 'session.expired' ? policy.baseMs : policy.baseMs - policy.thresholdMs;
      await life.at(before - 1);
      const record = Session.prototype.record;
      let defects = 1;
      vi.spyOn(Session.prototype, 'record').mockImplementation(function (this: Session, draft, at) {
        if (draft.kind === kind && defects > 0) {
          defects -= 1;
          throw new Error('a defect');
        }
        return record.call(this, draft, at);
      });
      await life.at(before);
      await life.world.advance(1);
      expect(defects).toBe(0);
      expect(eventsOf(life.client, 'session_expiring')).toHaveLength(1);
      await life.at(policy.baseMs + 1);
      expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
      expect(await expiries(life)).toBe(1);
      expect(life.client.of('session_deleted')).toHaveLength(1);
      expect(life.world.system.live).toMatchObject({ sessions: 0, leases: 0, timers: 0 });
    },
  );

  it('that shows behind the entry of its end finds it ended', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - 1);
    const record = Session.prototype.record;
    vi.spyOn(Session.prototype, 'record').mockImplementation(function (this: Session, draft, at) {
      const entry = record.call(this, draft, at);
      if (draft.kind === 'session.expired') throw new Error('a defect');
      return entry;
    });
    await life.at(policy.baseMs + 1);
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await expiries(life)).toBe(1);
    expect(life.world.system.live).toMatchObject({ sessions: 0, leases: 0, timers: 0 });
  });
});

it('a defect in the middle of a deletion does not leave a session in the count', async () => {
  const life = await createLife();
  vi.spyOn(Session.prototype, 'record').mockImplementationOnce(() => {
    throw new Error('a defect');
  });
  await life.ask('delete_session');
  await life.world.advance(1);
  expect(life.world.system.session('s')).toBeUndefined();
  expect(life.world.system.live).toMatchObject({ sessions: 0, mailboxes: 0, leases: 0 });
});

describe('a session that is set aside', () => {
  it('does not expire: nobody can read when it would', async () => {
    const life = await createLife();
    await life.touch();
    const store = copyStore(life.world.store);
    const fold = Session.prototype.fold;
    vi.spyOn(Session.prototype, 'fold').mockImplementation(function (this: Session, entry) {
      if (entry.kind === 'command.settled' && entry.commandType === 'set_session_name') throw new Error('unreadable');
      fold.call(this, entry);
    });
    const world = createWorld({ store, clock: life.world.clock, limits: { lease: policy } });
    await world.start();
    const client = world.connect();
    expect(world.system.live.leases).toBe(0);
    await world.advance(2 * policy.baseMs);
    client.send({ type: 'get_state', id: 'state', sessionId: 's' });
    client.send({ type: 'delete_session', id: 'delete', sessionId: 's' });
    await world.settle();
    expect(client.response('state')).toMatchObject({ errorCode: 'SESSION_QUARANTINED' });
    expect(client.response('delete')).toMatchObject({ success: true });
  });
});

it('a drain ends while leases are awaited, and nothing of them is left', async () => {
  const life = await createLife();
  await life.world.stop();
  expect(life.world.clock.pendingTimers).toBe(0);
});
