/** R6, R10, F3, C3, C6: one table says what is activity; looking is none, nor is what the server says by itself. */
import { describe, expect, it } from 'vitest';
import { activityOf, eventClasses, isDurable } from '../../actors/session/event.ts';
import { catalog } from '../../src/commands/catalog.ts';
import { createLife, entriesIn, HOUR_MS, MINUTE_MS, policy } from './lifetime.ts';

/** What each command is, reviewed by hand. A command that is not here has been thought about by nobody. */
const REVIEWED: Readonly<Record<string, 'user' | 'none'>> = {
  list_sessions: 'none',
  create_session: 'user',
  delete_session: 'user',
  switch_session: 'none',
  attach_session: 'none',
  detach_session: 'none',
  subscribe: 'none',
  unsubscribe: 'none',
  health_check: 'none',
  get_startup_recovery: 'none',
  get_metrics: 'none',
  get_command_history: 'none',
  verify_journal: 'none',
  ping: 'none',
  backup: 'none',
  compact_journal: 'none',
  apply_retention: 'none',
  get_session_events: 'none',
  get_session_snapshot: 'none',
  prompt: 'user',
  purge_session: 'none',
  steer: 'user',
  follow_up: 'user',
  abort: 'user',
  get_state: 'none',
  get_messages: 'none',
  get_last_assistant_text: 'none',
  get_session_stats: 'none',
  set_session_name: 'user',
};

const FIELDS: Readonly<Record<string, object>> = {
  prompt: { message: 'm' },
  steer: { message: 'm' },
  follow_up: { message: 'm' },
  set_session_name: { name: 'n' },
  subscribe: { topics: ['sessions'] },
  unsubscribe: { topics: ['sessions'] },
};

describe('R10: the table', () => {
  it('has a row for each command, and no other', () => {
    expect(Object.fromEntries(catalog.map(({ type, activity }) => [type, activity]))).toEqual(REVIEWED);
  });

  it('counts nothing that only reads', () => {
    expect(catalog.filter(({ lane, activity }) => lane === 'read' && activity !== 'none')).toEqual([]);
  });

  /** Behind these there is no session any more, or another one. */
  const BEGIN_OR_END: readonly string[] = ['create_session', 'delete_session', 'purge_session'];
  const rows = Object.entries(REVIEWED).filter(([type]) => !BEGIN_OR_END.includes(type));
  it.each(rows)('holds for %s: %s', async (type, activity) => {
    const life = await createLife();
    await life.at(policy.baseMs - 30 * MINUTE_MS);
    const offset = (await life.ask('get_state')).data;
    expect(offset?.['lastActivityAt']).toBe(new Date(life.createdAt).toISOString());
    life.client.send({ type, id: 'act', sessionId: 's', ...FIELDS[type] });
    await life.world.settle();
    const acted = activity === 'user';
    expect(await life.lastActivityMs()).toBe(acted ? policy.baseMs - 30 * MINUTE_MS : 0);
    expect(await life.lease()).toMatchObject({ extensions: acted ? 1 : 0 });
  });
});

describe('R6: events', () => {
  it('of every known type are classified, and an unknown one is noise that nobody keeps', () => {
    for (const [type, { durable, activity }] of Object.entries(eventClasses)) {
      expect([type, isDurable({ type }), activityOf(type)]).toEqual([type, durable, activity]);
      expect(['user', 'agent', 'system']).toContain(activity);
      // What is not journalled can't be folded: it must not count live either.
      if (!durable) expect(activity).toBe('system');
    }
    for (const type of ['weather', '', 'toString', '__proto__']) {
      expect([isDurable({ type }), activityOf(type)]).toEqual([false, 'system']);
    }
  });

  it('of the system, a thousand of them, extend nothing and are no activity', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    const begun = await life.lastActivityMs();
    await life.at(policy.baseMs - 30 * MINUTE_MS);
    for (let count = 0; count < 1000; count += 1) {
      const type = ['notify', 'status', 'session_changed', 'ui_request_resolved', 'weather'][count % 5]!;
      life.engine.turn.emit({ type, fields: {} });
    }
    await life.world.settle();
    expect(await life.lastActivityMs()).toBe(begun);
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs, extensions: 0 });
  });

  it('of an agent that gets on are activity', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    await life.at(policy.baseMs - 30 * MINUTE_MS);
    life.engine.turn.speak('word');
    expect(await life.lease()).toMatchObject({ extensions: 1 });
    expect(await life.lastActivityMs()).toBe(policy.baseMs - 30 * MINUTE_MS);
  });
});

describe('F3: a command', () => {
  it('that runs keeps its session alive beyond the deadline, and the session ends with it', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    await life.at(policy.baseMs + HOUR_MS);
    expect(await life.ask('get_state')).toMatchObject({ success: true });
    life.engine.turn.finish();
    await life.world.settle();
    await life.world.advance(1);
    expect(life.response('p')).toMatchObject({ success: true });
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    const [ended] = await entriesIn(life.world, 'session.expired');
    expect(ended).toMatchObject({ deadlineAt: life.createdAt + policy.baseMs });
    expect(ended!.at).toBeGreaterThanOrEqual(life.createdAt + policy.baseMs + HOUR_MS);
  });

  it('that waits behind it keeps the session alive too, and runs', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    await life.prompt('next');
    await life.at(policy.baseMs + HOUR_MS);
    life.engine.turn.finish();
    await life.world.settle();
    await life.world.advance(HOUR_MS);
    expect(life.engine.turns).toHaveLength(2);
    life.engine.turn.finish();
    await life.world.settle();
    await life.world.advance(1);
    expect(life.response('next')).toMatchObject({ success: true });
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
  });

  it('that begins something after the deadline is refused at once, while what runs can be looked at and ended', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    await life.at(policy.baseMs);
    await life.prompt('late');
    expect(life.response('late')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await life.ask('steer', { message: 'on' })).toMatchObject({ success: true });
    expect(await life.ask('get_state')).toMatchObject({ data: { lease: { extensions: 0 } } });
    expect(await life.ask('abort')).toMatchObject({ success: true });
    life.engine.turn.finish();
    await life.world.settle();
    await life.world.advance(1);
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
    expect(await entriesIn(life.world, 'session.expired')).toHaveLength(1);
  });

  it('that makes a session of the same name after the deadline is answered in its turn', async () => {
    const life = await createLife({ limits: { longMs: 10 * HOUR_MS } });
    await life.at(policy.baseMs - policy.thresholdMs - MINUTE_MS);
    await life.prompt('p');
    await life.send({ type: 'create_session', id: 'first', sessionId: 's' });
    await life.at(policy.baseMs);
    await life.send({ type: 'create_session', id: 'second', sessionId: 's' });
    expect(life.response('second')).toBeUndefined();
    life.engine.turn.finish();
    await life.world.settle();
    await life.world.advance(1);
    const answered = life.client.responses().map(({ id }) => id);
    expect(answered.slice(-3)).toEqual(['p', 'first', 'second']);
    expect(life.response('second')).toMatchObject({ errorCode: 'SESSION_EXISTS' });
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
  });
});

describe('C6: fake activity', () => {
  it('for sessions that do not exist leaves no state', async () => {
    const life = await createLife();
    const before = life.world.system.live;
    for (let count = 0; count < 100; count += 1) {
      life.client.send({ type: 'set_session_name', sessionId: `forged-${count}`, name: 'n' });
      life.client.send({ type: 'attach_session', sessionId: `forged-${count}` });
    }
    await life.world.settle();
    expect(life.world.system.live).toEqual({ ...before, known: life.world.system.live.known });
  });

  it('of those who may only watch, and of commands that fail, extends nothing', async () => {
    const life = await createLife();
    const watcher = life.world.connect({ id: 'watcher', scopes: ['observe'] });
    await life.at(policy.baseMs - 30 * MINUTE_MS);
    watcher.send({ type: 'set_session_name', id: 'w', sessionId: 's', name: 'n' });
    await life.ask('set_session_name', { name: 'n', ifSessionVersion: 99 });
    expect(watcher.response('w')).toMatchObject({ errorCode: 'FORBIDDEN' });
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs, extensions: 0 });
    expect(await life.lastActivityMs()).toBe(0);
  });
});
