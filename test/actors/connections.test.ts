/**
 * What a connected client costs the others: nothing. Slow ones lose events and are told so, dead ones are closed.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { createWorld } from '../support/world.ts';

const MIB = 1_048_576;
const attach = (id: string, sessionId = 's') => ({ type: 'attach_session', id, sessionId });
const name = (id: string, text = id) => ({ type: 'set_session_name', id, sessionId: 's', name: text });

describe('a client that does not read', () => {
  it('is told where its events stop, and gets responses on', async () => {
    const { client, send } = await createScene();
    await send(name('1'), name('2'));
    client.bufferedBytes = MIB + 1;
    client.frames.length = 0;
    await send(name('3'), name('4'), { type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.of('session_lagging')).toMatchObject([{ data: { sessionId: 's', seq: 2 } }]);
    expect(client.of('event')).toEqual([]);
    expect(client.responses().map(({ id }) => id)).toEqual(['3', '4', 'r']);
    expect(client.closedWith).toBeUndefined();
  });

  it('is told in which epoch, and after which durable event also in the middle of a turn', async () => {
    const { client, world, prompt, engine } = await createScene();
    await prompt('p');
    engine.turn.speak('a');
    await world.settle();
    client.bufferedBytes = MIB + 1;
    engine.turn.delta('b');
    const [event] = client.of('event');
    expect(client.of('session_lagging')).toMatchObject([
      { data: { sessionId: 's', epoch: event?.['epoch'] as string, seq: 2 } },
    ]);
    engine.turn.endMessage('ab');
    await world.settle();
    expect(client.of('session_lagging')).toHaveLength(1);
  });

  it('sees events again when it has read and attached again', async () => {
    const { client, send } = await createScene();
    client.bufferedBytes = MIB + 1;
    await send(name('1'));
    client.bufferedBytes = 0;
    await send(name('2'));
    expect(client.of('event')).toEqual([]);
    await send(attach('again'), name('3'));
    expect(client.of('event').map((frame) => frame['seq'] as unknown)).toEqual([3]);
    expect(client.response('again')?.['data']).toMatchObject({ watermark: 2 });
  });

  it('does not see events again before half of what waited is read', async () => {
    const { client, send } = await createScene();
    client.bufferedBytes = MIB + 1;
    await send(name('1'));
    client.bufferedBytes = MIB / 2 + 1;
    await send(attach('again'), name('2'));
    expect(client.of('session_lagging')).toHaveLength(2);
    client.bufferedBytes = MIB / 2;
    await send(attach('again2'), name('3'));
    expect(client.of('event')).toMatchObject([{ seq: 3 }]);
  });

  it('gets the lifecycle of commands again by itself', async () => {
    const { client, send } = await createScene();
    client.bufferedBytes = MIB + 1;
    await send(name('1'));
    client.bufferedBytes = 0;
    client.frames.length = 0;
    await send(name('2'));
    expect(client.frames.map(({ type }) => type)).toEqual([
      'command_accepted',
      'command_started',
      'command_finished',
      'response',
    ]);
  });

  it('is closed with 1013 when it does not even take responses', async () => {
    const { client, send, world } = await createScene();
    client.bufferedBytes = 4 * MIB + 1;
    await send(name('1'));
    expect(client.closedWith?.code).toBe(1013);
    const seen = client.frames.length;
    await send(name('2'));
    expect(client.frames).toHaveLength(seen);
    client.leave();
    expect(world.system.live.connections).toBe(0);
  });

  it('does not slow those who read', async () => {
    const { client, world, send } = await createScene();
    const other = world.connect();
    other.send(attach('a'));
    await world.settle();
    client.bufferedBytes = MIB + 1;
    await send(name('1'), name('2'));
    expect(other.of('event').map((frame) => frame['seq'] as unknown)).toEqual([1, 2]);
  });

  it('keeps what is told of the sessions that it is not late in', async () => {
    const { client, world, send } = await createScene();
    await send({ type: 'create_session', id: 'c', sessionId: 'b' }, attach('b', 'b'));
    client.bufferedBytes = MIB + 1;
    await send(name('1'));
    client.bufferedBytes = 0;
    const other = world.connect();
    other.send({ ...name('2'), sessionId: 'b' });
    await world.settle();
    expect(client.of('event')).toMatchObject([{ sessionId: 'b', seq: 1 }]);
  });
});

describe('a connection', () => {
  it('that is one too many is closed with 1013 and a reason', async () => {
    const { world, client } = await createScene({ limits: { connectionsMax: 2 } });
    const second = world.connect();
    const third = world.connect();
    expect(third.closedWith).toEqual({ code: 1013, reason: 'Connection limit reached (2 connections)' });
    expect(third.peer).toBeUndefined();
    expect(third.frames).toEqual([]);
    expect(second.frames).toHaveLength(2);
    client.leave();
    expect(world.connect().closedWith).toBeUndefined();
  });

  it('is greeted before anything else, and what it sent early is taken in order', async () => {
    const world = createWorld({ engines: [new ManualEngine()] });
    const client = world.connect();
    client.send({ type: 'create_session', id: '1', sessionId: 's' });
    client.raw('{"broken');
    client.send({ type: 'get_state', id: '2', sessionId: 's' });
    client.send({ type: 'set_session_name', id: '3', sessionId: 's', name: 'n' });
    expect(client.frames).toEqual([]);
    await world.start();
    expect(client.frames.slice(0, 2).map(({ type }) => type)).toEqual(['server_ready', 'startup_recovery_summary']);
    expect(client.responses().map((frame) => (frame['id'] ?? frame['errorCode']) as unknown)).toEqual([
      'INVALID_JSON',
      '1',
      '2',
      '3',
    ]);
  });

  it('that sends too much before it is greeted is closed with 1013', () => {
    const world = createWorld({ limits: { pendingMax: 3 } });
    const client = world.connect();
    for (let index = 0; index < 4; index += 1) client.send({ type: 'ping' });
    expect(client.closedWith?.code).toBe(1013);
    const heavy = world.connect();
    heavy.raw('x'.repeat(MIB + 1));
    expect(heavy.closedWith?.code).toBe(1013);
    expect(world.system.live.connections).toBe(0);
  });

  it('that is gone is answered by nobody, and its command is carried out', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    client.leave();
    client.leave();
    const seen = client.frames.length;
    engine.turn.finish();
    await world.settle();
    expect(client.frames).toHaveLength(seen);
    await send({ type: 'ping', id: 'ping' });
    expect(client.frames).toHaveLength(seen);
    const back = world.connect();
    back.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'p' });
    await world.settle();
    expect(back.response('p')).toMatchObject({ success: true, replayed: true });
  });

  it('leaves nothing behind', async () => {
    const { world } = await createScene();
    const before = world.system.live;
    for (let index = 0; index < 100; index += 1) {
      const client = world.connect();
      client.send(attach('a'));
      client.send({ type: 'subscribe', id: 'sub', topics: ['lifecycle'], scope: 'own' });
      await world.settle();
      client.leave();
    }
    expect({ ...world.system.live, known: 0 }).toEqual({ ...before, known: 0 });
  });
});

describe('the lifecycle of commands', () => {
  it('is seen by all from the start, by its owner alone with scope own, by nobody after unsubscribe', async () => {
    const { client, world, send } = await createScene();
    const all = world.connect();
    const own = world.connect();
    const none = world.connect();
    own.send({ type: 'subscribe', id: 'sub', topics: ['lifecycle'], scope: 'own' });
    none.send({ type: 'unsubscribe', id: 'unsub', topics: ['lifecycle', 'sessions'] });
    await world.settle();
    for (const one of [client, all, own, none]) one.frames.length = 0;
    await send({ type: 'create_session', id: 'c', sessionId: 'b' });
    own.send({ type: 'ping', id: 'mine' });
    await world.settle();
    const kinds = (frames: typeof client.frames) => frames.map(({ type }) => type.replace('command_', ''));
    const life = ['accepted', 'started', 'finished'];
    expect(kinds(all.frames)).toEqual([...life, 'session_created', ...life]);
    expect(kinds(own.frames)).toEqual(['session_created', ...life, 'response']);
    expect(kinds(none.frames)).toEqual([]);
    expect(kinds(client.frames)).toEqual([...life, 'response', 'session_created', ...life]);
  });
});
