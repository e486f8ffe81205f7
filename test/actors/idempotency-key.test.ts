/**
 * A key names a try: whoever tries again under it, with whatever id, is told what became of the first one.
 */
import { describe, expect, it } from 'vitest';
import { answered, createScene } from '../support/scene.ts';

const name = (id: string | undefined, fields: object = {}) => ({
  type: 'set_session_name',
  ...(id === undefined ? {} : { id }),
  sessionId: 's',
  name: 'n',
  ...fields,
});

describe('an idempotency key', () => {
  it('answers another id with the first outcome', async () => {
    const { client, send } = await createScene();
    await send(name('a', { idempotencyKey: 'k' }), name('b', { idempotencyKey: 'k' }));
    expect(client.response('b')).toMatchObject({ id: 'b', success: true, replayed: true, sessionVersion: 1 });
    // The second id names no command: nothing can depend on it.
    await send(name('c', { dependsOn: ['b'] }));
    expect(client.response('c')).toMatchObject({ errorCode: 'DEPENDENCY_UNKNOWN' });
  });

  it('answers a frame without an id, without one', async () => {
    const { client, send } = await createScene();
    await send(name(undefined, { idempotencyKey: 'k' }), name(undefined, { idempotencyKey: 'k' }));
    const [first, second] = client.responses();
    expect(first).toMatchObject({ success: true });
    expect(second).toMatchObject({ success: true, replayed: true });
    expect(second).not.toHaveProperty('id');
  });

  it('wins over the id', async () => {
    const { client, send } = await createScene();
    await send(
      name('a', { idempotencyKey: 'k', name: '1' }),
      name('b', { name: '2' }),
      name('b', { name: '1', idempotencyKey: 'k' }),
    );
    expect(client.response('b')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
  });

  it('in flight waits', async () => {
    const { client, send, engine, world } = await createScene();
    const prompt = (id: string) => ({ type: 'prompt', id, sessionId: 's', message: 'm', idempotencyKey: 'k' });
    await send(prompt('a'), prompt('b'));
    expect(answered(client)).toEqual([]);
    engine.turn.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(1);
    expect(client.response('b')).toMatchObject({ success: true, replayed: true });
  });

  it('with another command is a conflict that names both', async () => {
    const { client, send } = await createScene();
    await send(name('a', { idempotencyKey: 'k' }), name('b', { idempotencyKey: 'k', name: 'other' }));
    expect(client.response('b')).toMatchObject({
      errorCode: 'IDEMPOTENCY_CONFLICT',
      error: "Conflicting idempotencyKey 'k': previously used for 'set_session_name', now used for 'set_session_name'",
    });
  });

  it('belongs to its principal', async () => {
    const { send, world } = await createScene();
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    await send(name('a', { idempotencyKey: 'k' }));
    other.send(name('b', { idempotencyKey: 'k', name: 'mine' }));
    await world.settle();
    expect(other.response('b')).toMatchObject({ success: true, sessionVersion: 2 });
  });

  it('belongs to its session, and to this incarnation of it', async () => {
    const { client, send } = await createScene();
    await send(
      name('a', { idempotencyKey: 'k' }),
      { type: 'create_session', id: 'c', sessionId: 'b' },
      name('b', { idempotencyKey: 'k', sessionId: 'b' }),
      { type: 'delete_session', id: 'd', sessionId: 's' },
      { type: 'create_session', id: 'c2', sessionId: 's' },
      name('a2', { idempotencyKey: 'k' }),
    );
    for (const id of ['a', 'b', 'a2']) {
      expect(client.response(id)).toMatchObject({ success: true, sessionVersion: 1 });
      expect(client.response(id)?.['replayed']).toBeUndefined();
    }
  });

  it('is known from the creation on that is pipelined before', async () => {
    const { client, send } = await createScene();
    await send(
      { type: 'create_session', id: 'c', sessionId: 'b' },
      name('n1', { idempotencyKey: 'k', sessionId: 'b' }),
      name('n2', { idempotencyKey: 'k', sessionId: 'b' }),
    );
    await send(name('n3', { idempotencyKey: 'k', sessionId: 'b' }));
    expect(client.response('n1')?.['replayed']).toBeUndefined();
    for (const id of ['n2', 'n3']) expect(client.response(id)).toMatchObject({ sessionVersion: 1, replayed: true });
  });

  it('of a creation is the server’s', async () => {
    const { client, send } = await createScene();
    const create = (id: string, sessionId: string) => ({ type: 'create_session', id, sessionId, idempotencyKey: 'k' });
    await send(create('c1', 'x'), create('c2', 'x'), create('c3', 'y'));
    expect(client.response('c2')).toMatchObject({ success: true, replayed: true });
    expect(client.response('c3')).toMatchObject({ errorCode: 'IDEMPOTENCY_CONFLICT' });
  });

  it('of a deletion answers a retry although the session is gone', async () => {
    const { client, send } = await createScene();
    const remove = (id: string) => ({ type: 'delete_session', id, sessionId: 's', idempotencyKey: 'k' });
    await send(remove('d1'));
    await send(remove('d2'));
    expect(client.response('d2')).toMatchObject({ success: true, replayed: true });
  });
});
