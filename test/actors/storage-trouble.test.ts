/**
 * A journal that can't be written: what was accepted is kept, what can be read is served and says that it is stale, an abort
 * acts, and everything goes on when there is room again. See docs/DURABILITY.md.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { limits } from '../support/world.ts';

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

/** A running turn `p`, work `q` behind it, both accepted, and a disk that is full from now on. */
async function trouble() {
  const scene = await createScene();
  const { world, client } = scene;
  await scene.prompt('p');
  client.send({ type: 'prompt', id: 'q', sessionId: 's', message: 'later' });
  await world.settle();
  world.journal.keepFailing(full());
  client.send({ type: 'create_session', id: 'lost', sessionId: 'never' });
  await world.settle();
  await world.advance(0);
  return scene;
}

describe('a journal that is gone while nobody writes', () => {
  it('is opened again, although all sessions are at rest and can only be read', async () => {
    const { world, send, response } = await createScene();
    await world.advance(limits.passivationIdleMs * 1.5);
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1 });
    world.journal.die(new Error('the thread ended'));
    expect(world.observations).toContainEqual(expect.objectContaining({ message: 'a child failed', child: 'journal' }));
    await world.advance(20_000);
    await send({ type: 'health_check', id: 'well' }, { type: 'get_state', id: 'r', sessionId: 's' });
    expect(response('well')).toMatchObject({ data: { healthy: true } });
    expect(response('r')).toMatchObject({ success: true });
    expect(world.fatal).toEqual([]);
  });
});

describe('while the journal can not be written', () => {
  it('answers what was not durable with JOURNAL_UNAVAILABLE, and keeps what was accepted', async () => {
    const { world, client, engine } = await trouble();
    expect(client.response('lost')).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    expect(client.response('p')).toBeUndefined();
    expect(client.response('q')).toBeUndefined();
    expect(engine.turn.request.signal.aborted).toBe(true);
    expect(world.fatal).toEqual([]);
  });

  it('serves reads, marked as stale', async () => {
    const { world, client } = await trouble();
    client.send({ type: 'get_state', id: 'r', sessionId: 's' });
    client.send({ type: 'list_sessions', id: 'l' });
    client.send({ type: 'get_command_history', id: 'h' });
    await world.settle();
    expect(client.response('r')).toMatchObject({ success: true, stale: true });
    expect(client.response('l')).toMatchObject({ success: true, stale: true });
    expect(client.response('h')).toMatchObject({ success: true, stale: true });
    const { entries } = client.response('h')!['data'] as { entries: { commandId: string }[] };
    expect([...new Set(entries.map(({ commandId }) => commandId))].sort()).toEqual(['create', 'p', 'q']);
    const { sessions } = client.response('l')!['data'] as { sessions: { sessionId: string }[] };
    expect(sessions.map(({ sessionId }) => sessionId)).not.toContain('never');
  });

  it('refuses what would have to be recorded, in every family, and says so in its health', async () => {
    const { world, client } = await trouble();
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'x' });
    client.send({ type: 'prompt', id: '2', sessionId: 's', message: 'x' });
    client.send({ type: 'steer', id: '3', sessionId: 's', message: 'x' });
    client.send({ type: 'delete_session', id: '4', sessionId: 's' });
    client.send({ type: 'health_check', id: '5' });
    await world.settle();
    for (const id of ['1', '2', '3', '4']) {
      expect(client.response(id)).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    }
    expect(client.response('5')).toMatchObject({ data: { healthy: false } });
    expect(JSON.stringify(client.response('5'))).toContain('disk is full');
  });

  it('answers an abort at once, and that nothing of it is durable', async () => {
    const { world, client } = await trouble();
    client.send({ type: 'abort', id: 'a', sessionId: 's' });
    await world.settle();
    expect(client.response('a')).toMatchObject({ success: true, durable: false });
  });

  it('answers a known command with its stored outcome', async () => {
    const { world, client } = await trouble();
    client.send({ type: 'create_session', id: 'create', sessionId: 's' });
    await world.settle();
    expect(client.response('create')).toMatchObject({ success: true, replayed: true });
  });

  it('greets those who come now', async () => {
    const { world } = await trouble();
    const late = world.connect();
    await world.settle();
    expect(late.frames.map(({ type }) => type)).toEqual(['server_ready', 'startup_recovery_summary']);
    late.send({ type: 'get_state', id: 'r', sessionId: 's' });
    await world.settle();
    expect(late.response('r')).toMatchObject({ stale: true });
  });
});

describe('when there is room again', () => {
  it('classifies the ended turn, runs what waited, tells who waits, and announces it', async () => {
    const scene = await trouble();
    const { world, client, engine } = scene;
    world.journal.mend();
    engine.turn.finish();
    await world.advance(10_000);
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'INTERRUPTED' });
    expect(client.of('startup_recovery_summary').at(-1)).toMatchObject({
      data: { boot: 2, recoveredInFlightFailures: 1, requeued: 1 },
    });
    expect(engine.turns).toHaveLength(2);
    engine.turn.finish();
    await world.settle();
    expect(client.response('q')).toMatchObject({ success: true });
    client.send({ type: 'get_state', id: 'r', sessionId: 's' });
    await world.settle();
    expect(client.response('r')).not.toHaveProperty('stale');
    expect(world.fatal).toEqual([]);
  });

  it('runs nothing behind the turn that ended until its engine has let go', async () => {
    const scene = await trouble();
    const { world, client, engine } = scene;
    world.journal.mend();
    await world.advance(10_000);
    expect(client.response('p')).toMatchObject({ errorCode: 'INTERRUPTED' });
    expect(engine.turns).toHaveLength(1);
    engine.turn.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(2);
  });

  it('takes the frame again that could not be accepted, under its id', async () => {
    const { world, client } = await trouble();
    world.journal.mend();
    await world.advance(10_000);
    client.send({ type: 'create_session', id: 'lost', sessionId: 'never' });
    await world.settle();
    expect(client.response('lost')).toMatchObject({ success: true });
    expect(client.response('lost')).not.toHaveProperty('replayed');
  });

  it('stays up for hours without room, and tries seldom', async () => {
    const { world, client } = await trouble();
    await world.advance(3 * 3_600_000);
    expect(world.fatal).toEqual([]);
    world.journal.mend();
    await world.advance(10_000);
    client.send({ type: 'set_session_name', id: 'after', sessionId: 's', name: 'x' });
    await world.settle();
    expect(world.fatal).toEqual([]);
  });
});

describe('a journal whose thread died', () => {
  it('finds out what had become durable, and says so under the same id', async () => {
    const scene = await createScene();
    const { world, client } = scene;
    world.journal.hold();
    client.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'kept' });
    await world.settle();
    world.journal.die(new Error('the thread of the journal ended'));
    world.journal.pass();
    await world.advance(10_000);
    expect(client.response('n')).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    client.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'kept' });
    client.send({ type: 'get_state', id: 'r', sessionId: 's' });
    await world.settle();
    expect(client.response('n')).toMatchObject({ success: true, replayed: true });
    expect(client.response('r')).toMatchObject({ data: { sessionName: 'kept' } });
  });

  it('tells nobody that there are no sessions while it can not be read', async () => {
    const scene = await createScene();
    const { world, client } = scene;
    world.journal.refuseToOpen(new Error('gone'));
    world.journal.die(new Error('the thread of the journal ended'));
    client.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
    await world.advance(1000);
    client.send({ type: 'get_state', id: '1', sessionId: 's' });
    client.send({ type: 'list_sessions', id: '2' });
    client.send({ type: 'get_command_history', id: '3' });
    client.send({ type: 'create_session', id: '4', sessionId: 's' });
    client.send({ type: 'ping', id: '5' });
    client.send({ type: 'get_metrics', id: '6' });
    await world.settle();
    for (const id of ['n', '1', '2', '3', '4']) {
      expect(client.response(id)).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    }
    expect(client.response('5')).toMatchObject({ success: true });
    world.journal.mend();
    world.journal.pass();
    await world.advance(10_000);
    client.send({ type: 'get_state', id: '7', sessionId: 's' });
    await world.settle();
    expect(client.response('7')).toMatchObject({ success: true });
  });
});
