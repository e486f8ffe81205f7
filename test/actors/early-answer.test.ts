/**
 * respond: accepted asks to be told that the turn has durably begun, and not to wait for its end.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';

describe('respond: accepted', () => {
  const prompt = (fields: object = {}) => ({ type: 'prompt', id: 'p', sessionId: 's', message: 'm', ...fields });
  const early = { respond: 'accepted' };

  it('answers when the start is durable, and the outcome is told as command_finished', async () => {
    const { client, send, engine, world } = await createScene();
    world.journal.hold();
    await send(prompt(early));
    expect(client.responses()).toEqual([]);
    world.journal.pass();
    await world.settle();
    expect(client.response('p')).toMatchObject({ success: true, data: { accepted: true } });
    engine.turn.finish({ status: 'failed', kind: 'provider', message: 'no' });
    await world.settle();
    expect(client.responses()).toHaveLength(1);
    expect(client.of('command_finished')[0]?.['data']).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
  });

  it('is answered early again while the turn runs, and waits without it', async () => {
    const { client, send, engine, world } = await createScene();
    await send(prompt(early), prompt(), prompt(early));
    expect(client.responses()).toMatchObject([
      { data: { accepted: true } },
      { data: { accepted: true }, replayed: true },
    ]);
    expect(client.responses()[0]?.['replayed']).toBeUndefined();
    engine.turn.finish();
    await world.settle();
    expect(client.responses().slice(2)).toMatchObject([{ success: true, sessionVersion: 1, replayed: true }]);
    expect(client.responses()[2]?.['data']).toBeUndefined();
  });

  it('may come after the one that waits, and before the start', async () => {
    const { client, send, prompt: run, engine, world } = await createScene();
    await run('before');
    await send(prompt(), prompt(early));
    expect(client.responses()).toEqual([]);
    engine.turn.finish();
    await world.settle();
    expect(client.responses().slice(1)).toMatchObject([{ id: 'p', data: { accepted: true }, replayed: true }]);
    engine.turn.finish();
    await world.settle();
    expect(client.responses().slice(2)).toMatchObject([{ id: 'p', success: true }]);
  });

  it('says why when the turn never starts', async () => {
    const { client, send } = await createScene();
    await send(prompt({ ...early, sessionId: 'nobody' }));
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'SESSION_NOT_FOUND' });
  });

  it('gives the connection its place back', async () => {
    const { client, send } = await createScene({ limits: { pendingMax: 1 } });
    await send(prompt(early));
    await send({ type: 'ping', id: 'ping' });
    expect(client.response('ping')).toMatchObject({ success: true });
  });
});
