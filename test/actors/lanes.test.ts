/**
 * Which command acts when: work one after the other, control and reads beside it, everything in the order of admission.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { answered, createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

describe('the lanes of a session', () => {
  it('serializes create -> steer -> follow_up on same session lane', async () => {
    const { client, send, engine, world } = await createScene();
    await send(
      { type: 'create_session', id: '1', sessionId: 'new' },
      { type: 'steer', id: '2', sessionId: 'new', message: 'a' },
      { type: 'follow_up', id: '3', sessionId: 'new', message: 'b' },
      { type: 'prompt', id: '4', sessionId: 'new', message: 'c' },
    );
    expect(answered(client)).toEqual(['1', '2', '3']);
    expect(client.response('1')).toMatchObject({ success: true, sessionVersion: 0 });
    expect(client.response('2')).toMatchObject({ success: true, sessionVersion: 1 });
    expect(client.response('3')).toMatchObject({ success: true, sessionVersion: 2 });
    expect(engine.turn.request).toMatchObject({ steers: [{ message: 'a' }], followUps: [{ message: 'b' }] });
    expect(audit(await entriesOf(world.store)).order.get('session:new')).toEqual(['1', '2', '3']);
  });

  it('lets work act one after the other, in the order of admission', async () => {
    const { client, send, engine, world } = await createScene();
    await send(
      { type: 'prompt', id: 'p1', sessionId: 's', message: '1' },
      { type: 'set_session_name', id: 'n1', sessionId: 's', name: 'one' },
      { type: 'prompt', id: 'p2', sessionId: 's', message: '2' },
      { type: 'set_session_name', id: 'n2', sessionId: 's', name: 'two' },
    );
    expect(engine.turns).toHaveLength(1);
    expect(answered(client)).toEqual([]);
    engine.turn.finish();
    await world.settle();
    expect(answered(client)).toEqual(['p1', 'n1']);
    expect(engine.turns).toHaveLength(2);
    engine.turn.finish();
    await world.settle();
    expect(answered(client)).toEqual(['p1', 'n1', 'p2', 'n2']);
    expect(client.responses().map((frame) => frame['sessionVersion'])).toEqual([1, 2, 3, 4]);
  });

  it('answers control and reads while a turn runs', async () => {
    const { client, send, prompt } = await createScene();
    await prompt('p');
    await send(
      { type: 'get_state', id: 'r1', sessionId: 's' },
      { type: 'steer', id: 's1', sessionId: 's', message: 'a' },
      { type: 'get_messages', id: 'r2', sessionId: 's' },
      { type: 'follow_up', id: 'f1', sessionId: 's', message: 'b' },
    );
    expect(answered(client)).toEqual(['r1', 's1', 'r2', 'f1']);
  });

  it('hands control to the engine first in, first out', async () => {
    const { send, prompt, engine } = await createScene();
    await prompt('p');
    await send(...[1, 2, 3, 4].map((n) => ({ type: 'steer', sessionId: 's', message: String(n) })));
    expect(engine.turn.steers).toEqual([1, 2, 3, 4].map((n) => ({ message: String(n) })));
  });

  it('shows a session that was just created to a read right behind, and hides nothing of what is queued', async () => {
    const { client, send } = await createScene();
    await send(
      { type: 'create_session', id: 'c', sessionId: 'new', name: 'first' },
      { type: 'get_state', id: 'r', sessionId: 'new' },
      { type: 'set_session_name', id: 'n', sessionId: 'new', name: 'second' },
      { type: 'get_state', id: 'r2', sessionId: 'new' },
    );
    expect(client.response('r')?.['data']).toMatchObject({ sessionName: 'first' });
    expect(client.response('r2')?.['data']).toMatchObject({ sessionName: 'second' });
  });

  it('never lets one session wait for another', async () => {
    const { client, send, prompt } = await createScene();
    await prompt('p');
    await send(
      { type: 'create_session', id: 'c', sessionId: 'b' },
      { type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' },
    );
    expect(answered(client)).toEqual(['c', 'n']);
  });

  it('never lets a server-wide command wait for a session', async () => {
    const { client, send, prompt } = await createScene();
    await prompt('p');
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' }, { type: 'ping', id: 'ping' });
    await send({ type: 'list_sessions', id: 'list' }, { type: 'health_check', id: 'health' });
    expect(answered(client)).toEqual(['ping', 'list', 'health']);
  });
});

describe('a steer or an abort right after a prompt', () => {
  it('reaches that prompt before the engine is called', async () => {
    const { send, engine } = await createScene();
    await send(
      { type: 'prompt', id: 'p', sessionId: 's', message: 'm' },
      { type: 'steer', id: 's1', sessionId: 's', message: 'a' },
      { type: 'follow_up', id: 'f1', sessionId: 's', message: 'b' },
    );
    expect(engine.turn.steers).toEqual([{ message: 'a' }]);
    expect(engine.turn.followUps).toEqual([{ message: 'b' }]);
  });

  it('ends it although the engine was never called, and calls none', async () => {
    const { client, send, engine, world } = await createScene();
    await send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' }, { type: 'abort', id: 'a', sessionId: 's' });
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect(client.response('a')).toMatchObject({ success: true });
    expect(engine.turns).toHaveLength(0);
    await send({ type: 'prompt', id: 'p2', sessionId: 's', message: 'm' });
    expect(engine.turns).toHaveLength(1);
    expect(world.fatal).toEqual([]);
  });

  it('reaches it behind the creation of its session', async () => {
    const { client, send, engine } = await createScene();
    await send(
      { type: 'create_session', id: 'c', sessionId: 'new' },
      { type: 'prompt', id: 'p', sessionId: 'new', message: 'm' },
      { type: 'steer', id: 's1', sessionId: 'new', message: 'a' },
      { type: 'create_session', id: 'c2', sessionId: 'new2' },
      { type: 'prompt', id: 'p2', sessionId: 'new2', message: 'm' },
      { type: 'abort', id: 'a2', sessionId: 'new2' },
    );
    expect(engine.turns).toHaveLength(1);
    expect(engine.turn.steers).toEqual([{ message: 'a' }]);
    expect(client.response('p2')).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
  });

  it('reaches it while the engine is still being loaded', async () => {
    const { client, send, engine, world } = await createScene();
    engine.ready = false;
    await send(
      { type: 'create_session', id: 'c', sessionId: 'new' },
      { type: 'prompt', id: 'p', sessionId: 'new', message: 'm' },
      { type: 'steer', id: 's1', sessionId: 'new', message: 'a' },
    );
    expect(answered(client)).toEqual([]);
    engine.loaded();
    await world.settle();
    expect(answered(client)).toEqual(['c', 's1']);
    expect(engine.turn.steers).toEqual([{ message: 'a' }]);
  });
});

describe('the chart of the lane', () => {
  it('does not lose count when control that stood aside for a dependency is through', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await prompt('elsewhere', 'b');
    const elsewhere = engine.turn;
    await prompt('p1');
    const first = engine.turn;
    await send(
      { type: 'prompt', id: 'p2', sessionId: 's', message: '2' },
      { type: 'steer', id: 'aside', sessionId: 's', message: 'x', dependsOn: ['elsewhere'] },
    );
    elsewhere.finish();
    await world.settle();
    expect(client.response('aside')).toMatchObject({ success: true });
    first.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(3);
    engine.turn.finish();
    await world.settle();
    expect(client.response('p2')).toMatchObject({ success: true });
  });

  it('takes two principals with the same command id for two', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('same');
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    other.send({ type: 'prompt', id: 'same', sessionId: 's', message: 'of the other' });
    await world.settle();
    expect(engine.turns).toHaveLength(1);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    await world.advance(1_800_000);
    // Both had the same time; the one that runs was interrupted, the one that waited withdrawn.
    expect(client.response('same')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    expect(other.response('same')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    engine.turn.finish();
    await prompt('next');
    expect(engine.turns).toHaveLength(2);
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });

  it('does not end a running turn with a command of the same id of somebody else', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    other.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    other.send({ type: 'prompt', id: 'elsewhere', sessionId: 'b', message: 'm' });
    await world.settle();
    const elsewhere = engine.turn;
    await prompt('same');
    const runs = engine.turn;
    other.send({ type: 'steer', id: 'same', sessionId: 's', message: 'x', dependsOn: ['elsewhere'] });
    await world.settle();
    elsewhere.finish();
    await world.settle();
    expect(other.response('same')).toMatchObject({ success: true });
    expect(runs.steers).toEqual([{ message: 'x' }]);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')?.['data']).toMatchObject({ isStreaming: true });
    runs.speak('hello');
    runs.endMessage('hello');
    runs.endRun();
    runs.finish();
    await world.settle();
    expect(client.response('same')).toMatchObject({ success: true });
  });

  it('gives every attempt of every command an effect id of its own', async () => {
    const { prompt, engine, world } = await createScene();
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    await prompt('same');
    engine.turn.finish();
    other.send({ type: 'prompt', id: 'same', sessionId: 's', message: 'm' });
    await world.settle();
    expect(new Set(engine.turns.map(({ request }) => request.effectId)).size).toBe(2);
  });
});
