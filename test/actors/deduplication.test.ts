/**
 * The same command again is answered with what became of the first one; another command under its name is refused.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { createWorld } from '../support/world.ts';

const name = (id: string | undefined, fields: object = {}) => ({
  type: 'set_session_name',
  ...(id === undefined ? {} : { id }),
  sessionId: 's',
  name: 'n',
  ...fields,
});

describe('the same id again', () => {
  it('is answered with the stored outcome and does nothing', async () => {
    const { client, send } = await createScene();
    await send(name('a'));
    client.frames.length = 0;
    await send(name('a'));
    expect(client.frames.map(({ type }) => type)).toEqual(['command_finished', 'response']);
    expect(client.frames[0]?.['data']).toMatchObject({ commandId: 'a', success: true, replayed: true });
    expect(client.response('a')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 1 });
  });

  it('is the same however its JSON is written', async () => {
    const { client, world } = await createScene();
    client.raw('{"type":"set_session_name","id":"a","sessionId":"s","name":"n","x":{"b":1,"a":2}}');
    client.raw('{ "x": {"a":2, "b":1.0}, "name":"\\u006e","sessionId":"s","id":"a","type":"set_session_name" }');
    client.raw('{"type":"set_session_name","id":"a","sessionId":"s","name":"n","x":{"b":1,"a":3}}');
    await world.settle();
    expect(client.responses()).toMatchObject([
      { success: true },
      { success: true, replayed: true },
      { errorCode: 'ID_CONFLICT' },
    ]);
  });

  it('with another command is a conflict that names both, also of one type', async () => {
    const { client, send } = await createScene();
    await send(name('a'), { type: 'ping', id: 'a' }, name('a', { name: 'other' }));
    expect(client.responses().map((frame) => frame['error'] as unknown)).toEqual([
      undefined,
      "Conflicting id 'a': previously used for 'set_session_name', now used for 'ping'",
      "Conflicting id 'a': previously used for 'set_session_name', now used for 'set_session_name'",
    ]);
  });

  it('replays failures and keeps them', async () => {
    const { client, send } = await createScene();
    await send(name('a', { sessionId: 'later' }), { type: 'create_session', id: 'c', sessionId: 'later' });
    await send(name('a', { sessionId: 'later' }));
    expect(client.response('a')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND', replayed: true });
  });

  it('in flight waits for the one outcome of both', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    const other = world.connect();
    await prompt('p');
    await prompt('p');
    other.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'p' });
    await world.settle();
    expect(engine.turns).toHaveLength(1);
    engine.turn.finish();
    await world.settle();
    expect(client.responses().map((frame) => frame['replayed'] as unknown)).toEqual([undefined, true]);
    expect(other.responses()).toMatchObject([{ id: 'p', success: true, replayed: true, sessionVersion: 1 }]);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 1 });
  });

  it('in flight with another command is a conflict', async () => {
    const { client, send, prompt } = await createScene();
    await prompt('p');
    await send({ type: 'prompt', id: 'p', sessionId: 's', message: 'other' });
    expect(client.response('p')).toMatchObject({ errorCode: 'ID_CONFLICT' });
  });

  it('of another principal is another command', async () => {
    const { client, send, world } = await createScene();
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    await send(name('a'));
    other.send(name('a', { name: 'mine' }));
    await world.settle();
    expect(other.response('a')).toMatchObject({ success: true, sessionVersion: 2 });
    expect(client.response('a')?.['replayed']).toBeUndefined();
  });

  it('after a refusal is a new try, and a refusal replaces no outcome', async () => {
    const { client, send, prompt, engine, world } = await createScene({ limits: { pendingMax: 1 } });
    await send(name('a'));
    await prompt('p');
    await send(name('b'), name('a'), name('a', { name: 'conflict' }));
    expect(client.response('b')).toMatchObject({ errorCode: 'TOO_MANY_PENDING' });
    engine.turn.finish();
    await world.settle();
    await send(name('b'));
    await send(name('a'));
    expect(client.response('b')).toMatchObject({ success: true });
    expect(client.response('b')?.['replayed']).toBeUndefined();
    expect(client.response('a')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
  });

  it('is found while its outcome is not durable, and answered when it is', async () => {
    const { client, send, world } = await createScene();
    world.journal.hold();
    await send(name('a'));
    await send(name('a'));
    expect(client.responses()).toEqual([]);
    world.journal.pass();
    await world.settle();
    expect(client.responses()).toMatchObject([{ success: true }, { success: true, replayed: true }]);
  });
});

describe('a replayed creation or deletion', () => {
  it('announces nothing again', async () => {
    const { client, send } = await createScene();
    const create = { type: 'create_session', id: 'c', sessionId: 'b' };
    const remove = { type: 'delete_session', id: 'd', sessionId: 'b' };
    await send(create, remove);
    client.frames.length = 0;
    await send(create, remove);
    expect(client.frames.map(({ type }) => type)).toEqual([
      'command_finished',
      'response',
      'command_finished',
      'response',
    ]);
    expect(client.response('c')).toMatchObject({ success: true, replayed: true, data: { sessionId: 'b' } });
    expect(client.response('d')).toMatchObject({ success: true, replayed: true, data: { deleted: true } });
    await send({ type: 'get_state', id: 'r', sessionId: 'b' });
    expect(client.response('r')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
  });

  it('without an id of its own gives the id that was drawn', async () => {
    const { client, send } = await createScene();
    await send({ type: 'create_session', id: 'c' });
    await send({ type: 'create_session', id: 'c' });
    const [first, second] = client.responses();
    expect(second).toMatchObject({ replayed: true, data: first?.['data'] });
  });
});

describe('ids that the server gives', () => {
  it('are unique over restarts and refused from clients', async () => {
    const { client, send, world, engine } = await createScene();
    await send({ type: 'ping' }, { type: 'ping' }, { type: 'ping', id: 'anon:1:1' });
    const ids = client.of('command_finished').map((frame) => frame['data'].commandId as string);
    expect(client.responses().at(-1)).toMatchObject({ errorCode: 'VALIDATION_FAILED', id: 'anon:1:1' });
    await world.stop();
    const next = createWorld({ engines: [engine], store: world.store });
    await next.start();
    const late = next.connect();
    late.send({ type: 'ping' });
    await next.settle();
    ids.push(late.of('command_finished')[0]?.['data'].commandId as string);
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^anon:\d+:\d+$/);
  });

  it('name refused commands too, each its own', async () => {
    const { client, send } = await createScene();
    await send(
      name(undefined, { dependsOn: undefined, ifSessionVersion: 3 }),
      name(undefined, { ifSessionVersion: 3 }),
    );
    const ids = client.of('command_finished').map((frame) => frame['data'].commandId as string);
    expect(new Set(ids).size).toBe(2);
  });
});
