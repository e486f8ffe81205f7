/**
 * delete_session: ends what runs and what waits, and what comes after it belongs to the next incarnation.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { answered, createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

const remove = (id: string, sessionId = 's') => ({ type: 'delete_session', id, sessionId });

describe('deleting a session', () => {
  it('ends the running turn and all that waits with COMMAND_ABORTED, and says so before it answers', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p1');
    engine.turn.speak('hel');
    await send(
      { type: 'prompt', id: 'p2', sessionId: 's', message: '2' },
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' },
      { type: 'steer', id: 'aside', sessionId: 's', message: 'x', dependsOn: ['p2'] },
      remove('d'),
    );
    expect(answered(client)).toEqual(['p1', 'p2', 'n', 'aside', 'd']);
    for (const id of ['p1', 'p2', 'n']) expect(client.response(id)).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
    expect(client.response('aside')).toMatchObject({ success: false });
    expect(client.response('d')).toMatchObject({ success: true, data: { deleted: true } });
    expect(client.frames.at(-1)).toMatchObject({ type: 'session_deleted', data: { sessionId: 's' } });
    expect(client.events().slice(-3)).toEqual(['message_end', 'turn_end', 'agent_end']);
  });

  it('lets the next incarnation begin at once when no engine holds the old one', async () => {
    const { client, send } = await createScene();
    await send(remove('d'), { type: 'create_session', id: 'c', sessionId: 's' });
    expect(answered(client)).toEqual(['d', 'c']);
    expect(client.response('c')).toMatchObject({ success: true, sessionVersion: 0 });
  });

  it('keeps the next incarnation waiting until the engine has let go', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    const old = engine.turn;
    await send(
      remove('d'),
      { type: 'create_session', id: 'c', sessionId: 's' },
      { type: 'prompt', id: 'p2', sessionId: 's', message: '2' },
      { type: 'get_state', id: 'r', sessionId: 's' },
    );
    expect(answered(client)).toEqual(['p', 'd']);
    expect(old.aborted).toBe(true);
    old.finish();
    await world.settle();
    expect(answered(client)).toEqual(['p', 'd', 'c', 'r']);
    expect(engine.turns).toHaveLength(2);
    expect(engine.turn.request.messages).toEqual([]);
  });

  it('waits for an engine that hangs no longer than the time to drain', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    const old = engine.turn;
    await send(remove('d'), { type: 'create_session', id: 'c', sessionId: 's' });
    await world.advance(29_999);
    expect(client.response('c')).toBeUndefined();
    await world.advance(1);
    expect(client.response('c')).toMatchObject({ success: true });
    // Whatever the old engine still says or does is said to nobody.
    client.frames.length = 0;
    old.speak('late');
    old.finish({ status: 'completed', resume: 'late' });
    await send({ type: 'get_state', id: 'r', sessionId: 's' }, { type: 'get_messages', id: 'm', sessionId: 's' });
    expect(client.events()).toEqual([]);
    expect(client.response('r')).toMatchObject({ sessionVersion: 0 });
    expect(client.response('m')?.['data']).toEqual({ messages: [] });
  });

  it('gives the next incarnation a new epoch, version 0, and none of the old one', async () => {
    const { client, send } = await createScene();
    await send({ type: 'steer', id: 'q', sessionId: 's', message: 'queued' });
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'old' });
    await send({ type: 'attach_session', id: 'a1', sessionId: 's' }, remove('d'));
    await send({ type: 'create_session', id: 'c', sessionId: 's' });
    await send({ type: 'attach_session', id: 'a2', sessionId: 's' }, { type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('a2')?.['data'].epoch).not.toBe(client.response('a1')?.['data'].epoch);
    expect(client.response('a2')?.['data'].watermark).toBe(0);
    expect(client.response('r')?.['data']).toMatchObject({ sessionVersion: 0, queued: { steers: 0, followUps: 0 } });
    expect(client.response('r')?.['data'].sessionName).toBeUndefined();
  });

  it('shows nothing of the next incarnation to who was attached to the old one', async () => {
    const { client, send } = await createScene();
    await send(remove('d'), { type: 'create_session', id: 'c', sessionId: 's' });
    client.frames.length = 0;
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    expect(client.events()).toEqual([]);
  });

  it('forgets the session with its engine, once', async () => {
    const { send, prompt, engine, world } = await createScene();
    await send(remove('d'));
    expect(engine.forgotten).toEqual(['s']);
    await send({ type: 'create_session', id: 'c', sessionId: 's' });
    await prompt('p');
    await send(remove('d2'));
    expect(engine.forgotten).toEqual(['s']);
    engine.turn.finish();
    await world.settle();
    expect(engine.forgotten).toEqual(['s', 's']);
  });

  it('takes create, delete, create and prompt in one go, all of them in order', async () => {
    const { client, send, engine, world } = await createScene();
    await send(
      { type: 'create_session', id: 'c1', sessionId: 'x' },
      remove('d1', 'x'),
      { type: 'set_session_name', id: 'n', sessionId: 'x', name: 'too early' },
      { type: 'create_session', id: 'c2', sessionId: 'x' },
      { type: 'prompt', id: 'p', sessionId: 'x', message: 'm' },
      { type: 'get_state', id: 'r', sessionId: 'x' },
    );
    expect(answered(client)).toEqual(['c1', 'd1', 'n', 'c2', 'r']);
    expect(client.response('n')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    expect(client.response('c2')).toMatchObject({ success: true });
    engine.turn.finish();
    await world.settle();
    expect(client.response('p')).toMatchObject({ success: true, sessionVersion: 1 });
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });

  it('loses nothing that waits for the engine of the old one, when some of it depends on the other', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(
      remove('d'),
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'too early' },
      { type: 'create_session', id: 'c1', sessionId: 's' },
      { type: 'create_session', id: 'c2', sessionId: 's', dependsOn: ['n'] },
      { type: 'get_state', id: 'r', sessionId: 's' },
    );
    engine.turn.finish();
    await world.settle();
    expect(client.response('n')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    expect(client.response('c1')).toMatchObject({ success: true });
    expect(client.response('c2')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    expect(client.response('r')).toMatchObject({ success: true });
    await send({ type: 'get_state', id: 'r2', sessionId: 's' });
    expect(client.response('r2')).toMatchObject({ success: true });
  });

  it('is refused when nobody is there, or at another version', async () => {
    const { client, send } = await createScene();
    await send(remove('d1', 'nobody'), { ...remove('d2'), ifSessionVersion: 7 });
    expect(client.response('d1')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND', error: 'Session nobody not found' });
    expect(client.response('d2')).toMatchObject({ errorCode: 'VERSION_MISMATCH' });
  });

  it('happens once however often it is asked for at once', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(remove('d1'), remove('d2'), remove('d3'));
    engine.turn.finish();
    await world.settle();
    const outcomes = ['d1', 'd2', 'd3'].map((id) => client.response(id)?.['success'] as unknown);
    expect(outcomes).toEqual([true, false, false]);
    expect(client.of('session_deleted')).toHaveLength(1);
  });

  it('of a session whose prompt it depends on acts when that is over', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send({ ...remove('d'), dependsOn: ['p'] }, { type: 'prompt', id: 'p2', sessionId: 's', message: '2' });
    expect(answered(client)).toEqual([]);
    engine.turn.finish();
    await world.settle();
    expect(client.response('d')).toMatchObject({ success: true });
    expect(client.response('p2')).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
    await send({ type: 'create_session', id: 'c', sessionId: 's' });
    expect(client.response('c')).toMatchObject({ success: true });
  });
});
