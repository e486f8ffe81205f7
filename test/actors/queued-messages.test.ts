/**
 * Steers and follow-ups: handed to the running turn, or kept for the next one; never lost, never given twice.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { copyStore } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const steer = (message: string) => ({ type: 'steer', sessionId: 's', message });
const followUp = (message: string) => ({ type: 'follow_up', sessionId: 's', message });

describe('a message for a session at rest', () => {
  it('waits for the next turn, in order, and is gone with it', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send(steer('a'), followUp('b'), steer('c'), { type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')?.['data'].queued).toEqual({ steers: 2, followUps: 1 });
    await prompt('p1');
    expect(engine.turn.request).toMatchObject({
      steers: [{ message: 'a' }, { message: 'c' }],
      followUps: [{ message: 'b' }],
    });
    await send({ type: 'get_state', id: 'r2', sessionId: 's' });
    expect(client.response('r2')?.['data'].queued).toEqual({ steers: 0, followUps: 0 });
    engine.turn.finish();
    await world.settle();
    await prompt('p2');
    expect(engine.turn.request).toMatchObject({ steers: [], followUps: [] });
  });

  it('keeps its pictures', async () => {
    const { send, prompt, engine } = await createScene();
    const images = [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }];
    await send({ ...steer('look'), images });
    await prompt('p');
    expect(engine.turn.request.steers).toEqual([{ message: 'look', images }]);
  });

  it('survives a restart', async () => {
    const { send, world } = await createScene();
    await send(steer('a'), followUp('b'));
    const engine = (await createScene()).engine;
    const next = createWorld({ engines: [engine], store: copyStore(world.store) });
    await next.start();
    const client = next.connect();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await next.settle();
    expect(engine.turn.request).toMatchObject({ steers: [{ message: 'a' }], followUps: [{ message: 'b' }] });
  });
});

describe('a message for a running turn', () => {
  it('that comes too late for the engine waits for the next turn', async () => {
    const { send, prompt, engine, world } = await createScene();
    await prompt('p1');
    engine.turn.takes = false;
    await send(steer('late'), followUp('later'));
    engine.turn.finish();
    await world.settle();
    await prompt('p2');
    expect(engine.turn.request).toMatchObject({ steers: [{ message: 'late' }], followUps: [{ message: 'later' }] });
  });

  it('that is not durable when the turn ends waits for the next one', async () => {
    const { send, prompt, engine, world } = await createScene();
    await prompt('p1');
    const first = engine.turn;
    world.journal.hold();
    await send(steer('late'));
    first.finish();
    await world.settle();
    world.journal.pass();
    await world.settle();
    expect(first.steers).toEqual([]);
    await prompt('p2');
    expect(engine.turn.request.steers).toEqual([{ message: 'late' }]);
  });

  it('is handed over once, however often the engine is asked', async () => {
    const { send, prompt, engine } = await createScene();
    await prompt('p');
    engine.turn.takes = false;
    await send(steer('1'));
    engine.turn.takes = true;
    await send(steer('2'));
    await send(steer('3'));
    expect(engine.turn.steers).toEqual([{ message: '1' }, { message: '2' }, { message: '3' }]);
  });

  it('waits for the next turn when the engine throws at it', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    engine.turn.steer = () => {
      throw new Error('a bug');
    };
    await send(steer('a'), { type: 'ping', id: 'ping' });
    expect(client.response('ping')).toMatchObject({ success: true });
    engine.turn.finish();
    await world.settle();
    await prompt('p2');
    expect(engine.turn.request.steers).toEqual([{ message: 'a' }]);
  });

  it('bumps the version once, however it travels', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    engine.turn.takes = false;
    await send(steer('a'));
    engine.turn.finish();
    await world.settle();
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 2 });
    expect(client.response('r')?.['data'].queued).toEqual({ steers: 1, followUps: 0 });
  });
});
