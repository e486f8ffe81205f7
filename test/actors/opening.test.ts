/**
 * Creating a session: one of many wins, an engine may have to be loaded first, and a failure leaves nothing behind.
 */
import { describe, expect, it } from 'vitest';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { answered, createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';

const create = (id: string, fields: object = {}) => ({ type: 'create_session', id, sessionId: 'new', ...fields });

/** Beside the engine that is at hand, one that has to be loaded. */
async function sceneWithSlowEngine(): Promise<Scene & { slow: ManualEngine }> {
  const slow = new ManualEngine('slow');
  slow.ready = false;
  const engine = new ManualEngine();
  const scene = await createScene({ engines: [engine, slow, createEchoEngine()] });
  return { ...scene, engine, slow };
}

describe('a hundred creations of one id at once', () => {
  it('make one session, and 99 are told that it exists', async () => {
    const { client, send, world } = await createScene();
    await send(...Array.from({ length: 100 }, (_, index) => create(`c${index}`)));
    const codes = client
      .responses()
      .map((frame) => (frame['success'] === true ? 'made' : frame['errorCode']) as string);
    expect(codes).toEqual(['made', ...Array.from({ length: 99 }, () => 'SESSION_EXISTS')]);
    expect(world.system.live.sessions).toBe(2);
    expect(client.of('session_created')).toHaveLength(1);
  });

  it('from a hundred connections make one as well', async () => {
    const { world } = await createScene();
    const clients = Array.from({ length: 100 }, () => world.connect());
    clients.forEach((client, index) => client.send(create(`c${index}`)));
    await world.settle();
    const made = clients.filter((client) => client.responses()[0]?.['success'] === true);
    expect(made).toHaveLength(1);
  });

  it('leave the session that was there untouched', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    await send({ type: 'create_session', id: 'again', sessionId: 's' });
    // Work waits for work, and what is found at the head is that the session is there.
    expect(client.response('again')).toBeUndefined();
    engine.turn.finish();
    await send();
    expect(client.response('again')).toMatchObject({ errorCode: 'SESSION_EXISTS', error: 'Session s already exists' });
    expect(client.response('p')).toMatchObject({ success: true });
  });
});

describe('a session whose engine has to be loaded', () => {
  it('is told to be accepted, and what is pipelined behind it waits', async () => {
    const { client, send, slow, world } = await sceneWithSlowEngine();
    await send(
      create('c', { engine: 'slow' }),
      { type: 'get_state', id: 'r', sessionId: 'new' },
      { type: 'prompt', id: 'p', sessionId: 'new', message: 'm' },
      { type: 'ping', id: 'ping' },
    );
    expect(answered(client)).toEqual(['ping']);
    expect(client.of('command_accepted').map((frame) => frame['data'].commandId as unknown)).toEqual([
      'ping',
      'c',
      'r',
      'p',
    ]);
    slow.loaded();
    await world.settle();
    expect(answered(client)).toEqual(['ping', 'c', 'r']);
    expect(slow.turns).toHaveLength(1);
  });

  it('is not made when the engine can not be had, and what waits behind it is told so', async () => {
    const { client, send, slow, world } = await sceneWithSlowEngine();
    await send(create('c', { engine: 'slow' }), { type: 'prompt', id: 'p', sessionId: 'new', message: 'm' });
    slow.loadFailed(new Error('npm install the-engine'));
    await world.settle();
    expect(client.response('c')).toMatchObject({ errorCode: 'ENGINE_UNAVAILABLE', error: 'npm install the-engine' });
    expect(client.response('p')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    expect(world.system.live).toMatchObject({ sessions: 1, timers: 0, held: 0 });
  });

  it('does not take the session down that is made behind its failure', async () => {
    const { client, send, slow, engine, world } = await sceneWithSlowEngine();
    await send(create('c1', { engine: 'slow' }), create('c2', { engine: 'manual' }), {
      type: 'prompt',
      id: 'p',
      sessionId: 'new',
      message: 'm',
    });
    // While the failure is taken in, the commit of another session is under way.
    world.journal.hold();
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    slow.loadFailed(new Error('gone'));
    await world.settle();
    world.journal.pass();
    await world.settle();
    expect(client.response('c1')).toMatchObject({ errorCode: 'ENGINE_UNAVAILABLE' });
    expect(client.response('c2')).toMatchObject({ success: true });
    expect(engine.turns).toHaveLength(1);
    engine.turn.finish();
    await world.settle();
    expect(client.response('p')).toMatchObject({ success: true });
    expect(engine.forgotten).toEqual([]);
  });

  it('times out when the engine never comes, and is not made by an engine that comes later', async () => {
    const { client, send, slow, world } = await sceneWithSlowEngine();
    await send(create('c', { engine: 'slow' }));
    await world.advance(1_799_999);
    expect(client.response('c')).toBeUndefined();
    await world.advance(1);
    expect(client.response('c')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT', timedOut: true });
    slow.loaded();
    await send({ type: 'get_state', id: 'r', sessionId: 'new' });
    expect(client.response('r')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
    // The other session was idle for so long that it left memory.
    expect(world.system.live).toMatchObject({ sessions: 0, passive: 1, timers: 0, held: 0 });
  });

  it('is loaded once per creation, also when the one before it timed out', async () => {
    const { client, send, slow, world } = await sceneWithSlowEngine();
    await send(create('c1', { engine: 'slow' }));
    await world.advance(1_000_000);
    await send(create('c2', { engine: 'slow' }));
    await world.advance(800_000);
    expect(client.response('c1')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    slow.loaded();
    await world.settle();
    expect(client.response('c2')).toMatchObject({ success: true });
  });

  it('can be deleted behind its creation', async () => {
    const { client, send, slow, world } = await sceneWithSlowEngine();
    await send(create('c', { engine: 'slow' }), { type: 'delete_session', id: 'd', sessionId: 'new' });
    slow.loaded();
    await world.settle();
    expect(answered(client)).toEqual(['c', 'd']);
    expect(client.response('d')).toMatchObject({ success: true });
    expect(slow.forgotten).toEqual(['new']);
    expect(world.system.live).toMatchObject({ sessions: 1, timers: 0 });
  });
});

describe('a creation that is refused', () => {
  it('names the engines that there are', async () => {
    const { client, send } = await createScene();
    await send(create('c', { engine: 'none' }));
    expect(client.response('c')).toMatchObject({ errorCode: 'ENGINE_UNAVAILABLE' });
    expect(client.response('c')?.['error']).toContain('manual');
  });

  it('says what is wrong with the engine’s input', async () => {
    const { client, send, world } = await createScene();
    await send(create('c', { input: 'wrong' }));
    expect(client.response('c')).toMatchObject({
      errorCode: 'VALIDATION_FAILED',
      error: 'Validation failed: input: wrong input',
      details: [{ path: 'input', code: 'invalid', message: 'wrong input' }],
    });
    expect(world.system.live.sessions).toBe(1);
  });

  it('is the engine’s fault alone when its check throws', async () => {
    const { client, send, engine } = await createScene();
    engine.checkInput = () => {
      throw new Error('a bug');
    };
    await send(create('c'));
    expect(client.response('c')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    await send({ type: 'ping', id: 'ping' });
    expect(client.response('ping')).toMatchObject({ success: true });
  });

  it('does not pass the number of sessions', async () => {
    const { client, send } = await createScene({ limits: { sessionsMax: 2 } });
    await send(create('c1'), create('c2', { sessionId: 'third' }));
    expect(client.response('c1')).toMatchObject({ success: true });
    expect(client.response('c2')).toMatchObject({ errorCode: 'SESSION_LIMIT' });
    await send({ type: 'delete_session', id: 'd', sessionId: 'new' }, create('c3', { sessionId: 'third' }));
    expect(client.response('c3')).toMatchObject({ success: true });
  });
});
