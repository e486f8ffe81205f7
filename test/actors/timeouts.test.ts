/**
 * A timeout is terminal and real: it is stored, what waited never starts, what runs is told to stop, and what comes later
 * changes nothing.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const LONG = 1_800_000;
const name = (id: string, fields: object = {}) => ({
  type: 'set_session_name',
  id,
  sessionId: 's',
  name: id,
  ...fields,
});

describe('a prompt that runs too long', () => {
  it('ends with COMMAND_TIMEOUT at its deadline, not before', async () => {
    const { client, prompt, engine, world } = await createScene();
    await prompt('p');
    await world.advance(LONG - 1);
    expect(client.response('p')).toBeUndefined();
    await world.advance(1);
    expect(client.response('p')).toMatchObject({
      success: false,
      errorCode: 'COMMAND_TIMEOUT',
      error: `Command 'prompt' timed out after ${LONG}ms`,
      timedOut: true,
    });
    expect(engine.turn.aborted).toBe(true);
    expect(client.of('command_finished')[0]?.['data']).toMatchObject({ errorCode: 'COMMAND_TIMEOUT', timedOut: true });
  });

  it('leaves nothing open for its clients', async () => {
    const { client, prompt, engine, world } = await createScene();
    await prompt('p');
    engine.turn.speak('half');
    await world.advance(LONG);
    expect(client.events().slice(-3)).toEqual(['message_end', 'turn_end', 'agent_end']);
  });

  it('takes no late result, and its replay is the timeout', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await world.advance(LONG);
    engine.turn.endMessage('late');
    engine.turn.finish();
    await world.settle();
    await prompt('p');
    expect(engine.turns).toHaveLength(1);
    expect(client.response('p')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT', timedOut: true, replayed: true });
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')?.['data']).toMatchObject({ sessionVersion: 0, isStreaming: false, messageCount: 0 });
  });

  it('frees the lane when the engine has let go', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await world.advance(LONG - 1000);
    await send(name('n'));
    await world.advance(1000);
    expect(client.response('n')).toBeUndefined();
    engine.turn.finish();
    await world.settle();
    expect(client.response('n')).toMatchObject({ success: true });
  });

  it('is not timed out by a deadline that it made', async () => {
    const { client, prompt, engine, world } = await createScene();
    await prompt('p');
    await world.advance(LONG - 1);
    engine.turn.finish();
    await world.settle();
    await world.advance(LONG);
    expect(client.responses()).toHaveLength(1);
    expect(client.response('p')).toMatchObject({ success: true });
    expect(world.system.live.timers).toBe(0);
  });
});

describe('a command that waits too long', () => {
  it('for its turn ends where it waits, and never starts', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await world.advance(1000);
    // Waits behind a turn that was given the time of another attempt.
    await send({ type: 'prompt', id: 'p2', sessionId: 's', message: '2' }, name('n'));
    await world.advance(LONG - 1000);
    expect(client.response('p1')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    expect(engine.turns).toHaveLength(1);
    // The engine does not let go: the two behind it run into their own time.
    await world.advance(1000);
    for (const id of ['p2', 'n']) expect(client.response(id)).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    engine.turn.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(1);
    const ids = client.of('command_started').map((frame) => frame['data'].commandId as unknown);
    expect(ids).toEqual(['p1']);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 0 });
  });

  it('counts from its admission', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await world.advance(1_000_000);
    await send({ type: 'prompt', id: 'p2', sessionId: 's', message: '2' });
    engine.turn.finish();
    await world.advance(LONG - 1);
    expect(client.response('p2')).toBeUndefined();
    await world.advance(1);
    expect(client.response('p2')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
    expect(engine.turns).toHaveLength(2);
    expect(engine.turn.aborted).toBe(true);
  });

  it('and is settled in the same moment has one outcome', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await send(name('n'));
    world.clock.setTimeout(() => engine.turn.finish(), LONG);
    await world.advance(LONG);
    expect(client.responses().map(({ id }) => id)).toEqual(['p1', 'n']);
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });
});

describe('a dependency that takes too long', () => {
  it('ends the command at the head of its lane, and the ones behind it go on', async () => {
    const { client, send, prompt, world } = await createScene();
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('elsewhere', 'b');
    await send(name('n1', { dependsOn: ['elsewhere'] }), name('n2'));
    await world.advance(29_999);
    expect(client.response('n1')).toBeUndefined();
    await world.advance(1);
    expect(client.response('n1')).toMatchObject({
      errorCode: 'DEPENDENCY_TIMEOUT',
      error: "Command 'dependsOn:elsewhere' timed out after 30000ms",
      timedOut: true,
    });
    expect(client.response('n2')).toMatchObject({ success: true, sessionVersion: 1 });
  });

  it('is counted from the head of the lane, not from the queue', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('elsewhere', 'b');
    await prompt('p');
    await send(name('n', { dependsOn: ['elsewhere'] }));
    await world.advance(100_000);
    engine.turn.finish();
    await world.settle();
    await world.advance(29_999);
    expect(client.response('n')).toBeUndefined();
    await world.advance(1);
    expect(client.response('n')).toMatchObject({ errorCode: 'DEPENDENCY_TIMEOUT' });
  });

  it('ends control and reads that stand aside', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(
      { type: 'steer', id: 'st', sessionId: 's', message: 'm', dependsOn: ['p'] },
      { type: 'get_state', id: 'r', sessionId: 's', dependsOn: ['p'] },
      { type: 'ping', id: 'ping', dependsOn: ['p'] },
    );
    await world.advance(30_000);
    for (const id of ['st', 'r', 'ping']) {
      expect(client.response(id)).toMatchObject({ success: false, timedOut: true });
    }
    engine.turn.finish();
    await world.settle();
    expect(client.responses()).toHaveLength(4);
    expect(engine.turn.steers).toEqual([]);
  });

  it('changes nothing when it comes after all', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send({ type: 'steer', id: 'st', sessionId: 's', message: 'm', dependsOn: ['p'] });
    await world.advance(30_000);
    engine.turn.finish();
    await send({ type: 'steer', id: 'st', sessionId: 's', message: 'm', dependsOn: ['p'] });
    expect(client.response('st')).toMatchObject({ success: false, timedOut: true, replayed: true });
  });

  it('does not hold the lane of a timed out command’s dependants', async () => {
    const { client, send, prompt, world } = await createScene();
    await prompt('p');
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await send(name('n1', { sessionId: 'b', dependsOn: ['p'] }), {
      type: 'steer',
      id: 'st',
      sessionId: 's',
      message: 'm',
      dependsOn: ['n1'],
    });
    await world.advance(30_000);
    expect(client.response('n1')).toMatchObject({ errorCode: 'DEPENDENCY_TIMEOUT' });
    expect(client.response('st')).toMatchObject({ success: false });
    expect(world.system.live.timers).toBe(1);
  });
});

describe('after a restart', () => {
  it('a deadline that passed meanwhile is a timeout, and one that did not is kept', async () => {
    const { send, prompt, world, engine } = await createScene();
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('runs');
    await world.advance(1_000_000);
    await send({ type: 'prompt', id: 'waits', sessionId: 's', message: 'w' });
    const store = copyStore(world.store);
    await world.clock.advanceAsync(800_000);
    const next = createWorld({ engines: [engine], store, clock: world.clock });
    const recovery = await next.start();
    await next.settle();
    expect(recovery.classified).toMatchObject([{ commandId: 'runs', errorCode: 'COMMAND_TIMEOUT' }]);
    expect(engine.turns).toHaveLength(2);
    await next.advance(1_000_000);
    expect(engine.turn.aborted).toBe(true);
    const late = next.connect();
    late.send({ type: 'prompt', id: 'waits', sessionId: 's', message: 'w' });
    await next.settle();
    expect(late.response('waits')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT', timedOut: true, replayed: true });
  });
});
