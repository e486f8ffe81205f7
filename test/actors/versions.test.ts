/**
 * The session's version: every successful command that changes it counts once, and a client can insist on the one it knows.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { copyStore } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const name = (id: string, fields: object = {}) => ({
  type: 'set_session_name',
  id,
  sessionId: 's',
  name: id,
  ...fields,
});

describe('a session’s version', () => {
  it('begins at 0 and counts successes alone', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send(name('1'), { type: 'steer', id: '2', sessionId: 's', message: 'm' });
    await prompt('3');
    engine.turn.finish({ status: 'failed', kind: 'user', message: 'no' });
    await world.settle();
    await prompt('4');
    engine.turn.finish();
    await world.settle();
    await send(name('5', { ifSessionVersion: 99 }), { type: 'detach_session', id: '6', sessionId: 's' });
    const versions = client.responses().map((frame) => [frame['id'], frame['sessionVersion']] as unknown);
    expect(versions).toEqual([
      ['1', 1],
      ['2', 2],
      ['3', undefined],
      ['4', 3],
      ['5', undefined],
      ['6', 3],
    ]);
  });

  it('is compared at the head of the lane, behind everything that came before', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(
      name('a', { ifSessionVersion: 0 }),
      name('b', { ifSessionVersion: 1 }),
      name('c', { ifSessionVersion: 2 }),
    );
    engine.turn.finish();
    await world.settle();
    expect(client.response('a')).toMatchObject({
      errorCode: 'VERSION_MISMATCH',
      error: 'Session version mismatch: expected 0, got 1',
      details: { expected: 0, actual: 1 },
    });
    expect(client.response('b')).toMatchObject({ success: true, sessionVersion: 2 });
    expect(client.response('c')).toMatchObject({ success: true, sessionVersion: 3 });
  });

  it('of a prompt is compared when it starts, not when it ends', async () => {
    const { client, send, engine, world } = await createScene();
    await send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm', ifSessionVersion: 0 });
    await send({ type: 'steer', id: 'st', sessionId: 's', message: 'm', ifSessionVersion: 0 });
    engine.turn.finish();
    await world.settle();
    expect(client.response('st')).toMatchObject({ success: true, sessionVersion: 1 });
    expect(client.response('p')).toMatchObject({ success: true, sessionVersion: 2 });
  });

  it('lets one of many win who all insist on the same one', async () => {
    const { client, send } = await createScene();
    await send(...Array.from({ length: 20 }, (_, index) => name(`n${index}`, { ifSessionVersion: 0 })));
    expect(client.responses().filter((frame) => frame['success'] === true)).toHaveLength(1);
    expect(client.response('n0')).toMatchObject({ success: true });
  });

  it('goes on behind a restart, and so do its replays', async () => {
    const { send, prompt, engine, world } = await createScene();
    await send(name('1'), name('2'));
    await prompt('3');
    engine.turn.finish();
    await world.settle();
    const next = createWorld({ engines: [engine], store: copyStore(world.store) });
    await next.start();
    const client = next.connect();
    for (const frame of [name('2'), name('4', { ifSessionVersion: 3 }), name('5', { ifSessionVersion: 3 })])
      client.send(frame);
    await next.settle();
    expect(client.response('2')).toMatchObject({ sessionVersion: 2, replayed: true });
    expect(client.response('4')).toMatchObject({ sessionVersion: 4 });
    expect(client.response('5')).toMatchObject({ errorCode: 'VERSION_MISMATCH' });
  });
});

describe('a session that is not there', () => {
  it('is found missing at the head of the lane, with the frames of a life', async () => {
    const { client, send } = await createScene();
    await send(name('n', { sessionId: 'nobody' }));
    expect(client.frames.map(({ type }) => type)).toEqual([
      'command_accepted',
      'command_started',
      'command_finished',
      'response',
    ]);
    expect(client.response('n')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND', error: 'Session nobody not found' });
  });

  it('is said with the version that was insisted on', async () => {
    const { client, send } = await createScene();
    await send(name('n', { sessionId: 'nobody', ifSessionVersion: 0 }));
    expect(client.response('n')?.['error']).toBe('Session nobody not found for ifSessionVersion=0');
  });

  it('costs nothing afterwards', async () => {
    const { send, world } = await createScene();
    const before = world.system.live;
    for (let index = 0; index < 50; index += 1) {
      await send(
        { type: 'set_session_name', sessionId: `x${index}`, name: 'n' },
        { type: 'abort', sessionId: `x${index}` },
        { type: 'get_state', sessionId: `x${index}` },
        { type: 'prompt', sessionId: `x${index}`, message: 'm' },
      );
    }
    expect(world.system.live).toEqual(before);
  });

  it('is there for what is sent behind its creation', async () => {
    const { client, send } = await createScene();
    await send(
      name('n1', { sessionId: 'b' }),
      { type: 'create_session', id: 'c', sessionId: 'b' },
      name('n2', { sessionId: 'b' }),
    );
    expect(client.response('n1')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    expect(client.response('n2')).toMatchObject({ success: true });
  });
});
