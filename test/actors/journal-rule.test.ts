/**
 * Nothing leaves the runtime before the fact behind it is durable: no frame, no call of an engine, no timer.
 */
import { describe, expect, it } from 'vitest';
import type { Client, World } from '../support/world.ts';
import { createWorld } from '../support/world.ts';
import { ManualEngine } from '../support/manual-engine.ts';

async function held(engine = new ManualEngine()): Promise<{ world: World; client: Client; engine: ManualEngine }> {
  const world = createWorld({ engines: [engine] });
  await world.start();
  const client = world.connect();
  client.send({ type: 'create_session', id: 'create', sessionId: 's' });
  client.send({ type: 'attach_session', id: 'attach', sessionId: 's' });
  await world.settle();
  client.frames.length = 0;
  world.journal.hold();
  return { world, client, engine };
}

/** Lets the oldest batch be committed, and whatever follows from it happen. */
async function commit(world: World): Promise<void> {
  world.journal.release(1);
  await world.settle();
}

describe('while a commit is held back', () => {
  it('shows nothing of an instant command, and all of it afterwards', async () => {
    const { world, client } = await held();
    client.send({ type: 'set_session_name', id: 'name', sessionId: 's', name: 'n' });
    await world.settle();
    expect(client.frames).toEqual([]);
    await commit(world);
    expect(client.frames.map(({ type }) => type)).toEqual([
      'command_accepted',
      'command_started',
      'event',
      'command_finished',
      'response',
    ]);
  });

  it('calls no engine and arms no timer for a prompt whose start is not durable', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    expect(client.frames).toEqual([]);
    expect(engine.turns).toHaveLength(0);
    expect(world.system.live.timers).toBe(0);
    // The lease of the session, and the one that looks for idle sessions.
    expect(world.clock.pendingTimers).toBe(2);
    await commit(world);
    expect(client.frames.map(({ type }) => type)).toEqual(['command_accepted', 'command_started']);
    expect(engine.turns).toHaveLength(1);
    expect(world.system.live.timers).toBe(1);
  });

  it('keeps durable events of a turn, and the deltas behind them, to itself', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    await commit(world);
    client.frames.length = 0;
    engine.turn.speak('a', 'b');
    await world.settle();
    expect(client.frames).toEqual([]);
    await commit(world);
    expect(client.events()).toEqual(['agent_start', 'turn_start', 'message_start', 'message_update', 'message_update']);
    engine.turn.delta('c');
    expect(client.events().slice(5)).toEqual(['message_update']);
  });

  it('does not tell an engine to stop before the end of its turn is durable', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    await commit(world);
    client.send({ type: 'abort', id: 'a', sessionId: 's' });
    await world.settle();
    expect(engine.turn.aborted).toBe(false);
    expect(client.response('a')).toBeUndefined();
    await commit(world);
    expect(engine.turn.aborted).toBe(true);
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect(client.response('a')).toMatchObject({ success: true });
  });

  it('hands a steer to the running engine only when the steer is durable', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    await commit(world);
    client.send({ type: 'steer', id: 's1', sessionId: 's', message: 'left' });
    await world.settle();
    expect(engine.turn.steers).toEqual([]);
    await commit(world);
    expect(engine.turn.steers).toEqual([{ message: 'left' }]);
  });

  it('hands over with the start of a turn no steer that is not durable yet', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    client.send({ type: 'steer', id: 's1', sessionId: 's', message: 'left' });
    await world.settle();
    expect(world.journal.held).toHaveLength(2);
    await commit(world);
    expect(engine.turns).toHaveLength(1);
    expect(engine.turn.steers).toEqual([]);
    await commit(world);
    expect(engine.turn.steers).toEqual([{ message: 'left' }]);
  });

  it('arms no timer for a dependency before the acceptance of the one that waits is durable', async () => {
    const { world, client } = await held();
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'm' });
    await world.settle();
    await commit(world);
    const armed = world.system.live.timers;
    client.send({ type: 'create_session', id: 'c2', sessionId: 'other' });
    await world.settle();
    await commit(world);
    client.send({ type: 'steer', id: 'aside', sessionId: 's', message: 'x', dependsOn: ['p'] });
    client.send({ type: 'prompt', id: 'head', sessionId: 'other', message: 'x', dependsOn: ['p'] });
    await world.settle();
    expect(world.system.live.timers).toBe(armed);
    await commit(world);
    // A timeout and a dependency's patience for each of the two.
    expect(world.system.live.timers).toBe(armed + 4);
  });

  it('loads no engine before the creation that needs it is durable', async () => {
    const engine = new ManualEngine();
    engine.ready = false;
    const world = createWorld({ engines: [engine] });
    await world.start();
    const client = world.connect();
    world.journal.hold();
    client.send({ type: 'create_session', id: 'c', sessionId: 's' });
    await world.settle();
    expect(engine.loading).toBe(0);
    await commit(world);
    expect(engine.loading).toBe(1);
  });
});

describe('the order of frames on one connection', () => {
  it('is the order of the commands, over batches and over sessions', async () => {
    const { world, client } = await held();
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'n' });
    await world.settle();
    client.send({ type: 'create_session', id: '2', sessionId: 'other' });
    await world.settle();
    client.send({ type: 'ping', id: '3' });
    client.send({ type: 'nonsense', id: '4' });
    client.send({ type: 'get_state', id: '5', sessionId: 'nowhere' });
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'n' });
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'conflict' });
    await world.settle();
    expect(client.responses()).toEqual([]);
    await commit(world);
    await commit(world);
    await commit(world);
    expect(client.responses().map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '1', '1']);
    expect(client.responses().slice(5)).toMatchObject([{ replayed: true }, { errorCode: 'ID_CONFLICT' }]);
  });

  it('does not make another connection wait', async () => {
    const { world, client } = await held();
    const other = world.connect();
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'n' });
    other.raw('{');
    await world.settle();
    expect(client.responses()).toEqual([]);
    expect(other.responses()).toMatchObject([{ errorCode: 'INVALID_JSON' }]);
  });
});

describe('a read', () => {
  it('sees what was written before it, and is answered when that is durable', async () => {
    const { world, client } = await held();
    client.send({ type: 'set_session_name', id: 'w', sessionId: 's', name: 'new name' });
    client.send({ type: 'get_state', id: 'r', sessionId: 's' });
    client.send({ type: 'list_sessions', id: 'l' });
    await world.settle();
    expect(client.frames).toEqual([]);
    await commit(world);
    expect(client.response('r')?.['data']).toMatchObject({ sessionName: 'new name', sessionVersion: 1 });
    expect(client.response('l')?.['data'].sessions[0]).toMatchObject({ sessionName: 'new name' });
  });

  it('of a session at rest does not wait for the commits of another one', async () => {
    const { world, client } = await held();
    client.send({ type: 'set_session_name', id: 'w', sessionId: 's', name: 'n' });
    await world.settle();
    const other = world.connect();
    world.journal.release();
    await world.settle();
    client.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await world.settle();
    other.send({ type: 'get_state', id: 'r', sessionId: 's' });
    other.send({ type: 'list_sessions', id: 'l' });
    await world.settle();
    expect(other.response('r')).toMatchObject({ success: true });
    expect(other.response('l')).toBeUndefined();
  });
});

describe('a commit that fails', () => {
  it('releases nothing of what was not durable, and says so to those who wait', async () => {
    const { world, client, engine } = await held();
    client.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'n' });
    client.send({ type: 'prompt', id: '2', sessionId: 's', message: 'm' });
    await world.settle();
    client.send({ type: 'create_session', id: '3', sessionId: 'b' });
    await world.settle();
    world.journal.fail(new Error('disk full'));
    await world.settle();
    const answers = client.frames.map(({ type, id, errorCode }) => [type, id, errorCode]);
    expect(answers.sort()).toEqual([
      ['response', '1', 'JOURNAL_UNAVAILABLE'],
      ['response', '2', 'JOURNAL_UNAVAILABLE'],
      ['response', '3', 'JOURNAL_UNAVAILABLE'],
    ]);
    expect(engine.turns).toHaveLength(0);
    expect(world.system.live.held).toBe(0);
    expect(world.fatal).toEqual([]);
  });
});
