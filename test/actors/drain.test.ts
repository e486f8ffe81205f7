/**
 * Stopping in order: nothing new is taken, what runs may finish, what does not is ended, and then everything is closed.
 */
import { describe, expect, it } from 'vitest';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createMemoryStore } from '../../src/journal/memory.ts';
import { audit } from '../support/audit.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

/** Begins to drain and says whether it is over. */
function drain({ world }: Scene): { over: boolean; failed: unknown } {
  const state: { over: boolean; failed: unknown } = { over: false, failed: undefined };
  world.system.drain().then(
    () => (state.over = true),
    (error: unknown) => (state.failed = error),
  );
  return state;
}

describe('draining', () => {
  it('with nothing to do stops at once, closes with 1001 and writes that it stopped', async () => {
    const scene = await createScene();
    const state = drain(scene);
    await scene.world.settle();
    expect(state.over).toBe(true);
    expect(scene.client.of('server_shutdown')).toMatchObject([{ data: { reason: 'graceful_shutdown' } }]);
    expect(scene.client.closedWith).toEqual({ code: 1001, reason: 'Server shutting down' });
    expect(scene.engine.closed).toBe(true);
    expect((await entriesOf(scene.world.store)).at(-1)).toMatchObject({ kind: 'server.stopped', boot: 1 });
    expect(scene.world.clock.pendingTimers).toBe(0);
    expect(scene.world.fatal).toEqual([]);
  });

  it('refuses what comes with SHUTTING_DOWN and no lifecycle, replays and reads included', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    drain(scene);
    scene.client.frames.length = 0;
    await scene.send(
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' },
      { type: 'get_state', id: 'r', sessionId: 's' },
      { type: 'attach_session', id: 'attach', sessionId: 's', deltas: 'compact' },
      { type: 'prompt', id: 'p', sessionId: 's', message: 'p' },
    );
    expect(scene.client.frames.map((frame) => [frame['id'], frame['errorCode']] as unknown)).toEqual(
      ['n', 'r', 'attach', 'p'].map((id) => [id, 'SHUTTING_DOWN']),
    );
    scene.client.raw('{');
    await scene.world.settle();
    expect(scene.client.frames.at(-1)).toMatchObject({ errorCode: 'INVALID_JSON' });
  });

  it('lets a running turn finish, and stops as soon as it has', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    const state = drain(scene);
    await scene.world.advance(10_000);
    expect(state.over).toBe(false);
    scene.engine.turn.speak('done');
    scene.engine.turn.endMessage('done');
    scene.engine.turn.endRun();
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(state.over).toBe(true);
    expect(scene.response('p')).toMatchObject({ success: true });
    expect(scene.client.events().at(-1)).toBe('agent_end');
    expect(scene.client.closedWith?.code).toBe(1001);
    expect(scene.world.system.live.timers).toBe(0);
  });

  it('finishes what was accepted, and what waits behind it', async () => {
    const scene = await createScene({ engines: [createEchoEngine()] });
    await scene.send(
      { type: 'create_session', id: 'c', sessionId: 'b', input: { delayMs: 100 } },
      { type: 'prompt', id: 'p1', sessionId: 'b', message: 'one two' },
      { type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' },
      { type: 'prompt', id: 'p2', sessionId: 'b', message: 'three', dependsOn: ['p1'] },
    );
    const state = drain(scene);
    await scene.world.advance(1000);
    expect(state.over).toBe(true);
    for (const id of ['p1', 'n', 'p2']) expect(scene.response(id)).toMatchObject({ success: true });
  });

  it('ends what still runs or waits when its time is over, and says so to everybody', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await scene.prompt('elsewhere', 'b');
    scene.engine.turns[0]!.speak('half');
    await scene.send(
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' },
      { type: 'steer', id: 'aside', sessionId: 's', message: 'x', dependsOn: ['elsewhere'] },
      { type: 'ping', id: 'ping', dependsOn: ['elsewhere'] },
    );
    const state = drain(scene);
    await scene.world.advance(29_999);
    expect(state.over).toBe(false);
    await scene.world.advance(1);
    expect(state.over).toBe(true);
    for (const id of ['p', 'elsewhere', 'n'])
      expect(scene.response(id)).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
    for (const id of ['aside', 'ping']) expect(scene.response(id)).toMatchObject({ success: false });
    expect(scene.client.events().slice(-3)).toEqual(['message_end', 'turn_end', 'agent_end']);
    expect(scene.engine.turns.every(({ aborted }) => aborted)).toBe(true);
    const { problems, open } = audit(await entriesOf(scene.world.store));
    expect(problems).toEqual([]);
    expect(open).toEqual([]);
  });

  it('is not disturbed by an engine that lets go, or speaks, after the end', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    drain(scene);
    await scene.world.advance(30_000);
    const { length } = scene.world.store.rows;
    scene.engine.turn.emit({ type: 'agent_start' });
    scene.engine.turn.finish({ status: 'completed', resume: 'late' });
    await scene.world.advance(60_000);
    expect(scene.world.store.rows).toHaveLength(length);
    expect(scene.world.fatal).toEqual([]);
    expect(scene.world.clock.pendingTimers).toBe(0);
  });

  it('waits for a creation whose engine is being loaded, no longer than its time', async () => {
    const scene = await createScene();
    scene.engine.ready = false;
    await scene.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    const state = drain(scene);
    await scene.world.advance(29_999);
    expect(state.over).toBe(false);
    await scene.world.advance(1);
    expect(state.over).toBe(true);
    expect(scene.response('c')).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
  });

  it('asked for twice is one', async () => {
    const scene = await createScene();
    const first = scene.world.system.drain();
    expect(scene.world.system.drain()).toBe(first);
    await scene.world.settle();
    await first;
    expect(scene.client.of('server_shutdown')).toHaveLength(1);
  });

  it('takes no new connection', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    drain(scene);
    const late = scene.world.connect();
    expect(late.closedWith?.code).toBe(1001);
    expect(late.frames).toEqual([]);
  });

  it('loses no answer whose commit is under way', async () => {
    const scene = await createScene();
    scene.world.journal.hold();
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    const state = drain(scene);
    await scene.world.settle();
    expect(state.over).toBe(false);
    scene.world.journal.pass();
    await scene.world.settle();
    expect(state.over).toBe(true);
    expect(scene.response('n')).toMatchObject({ success: true });
    expect(scene.client.frames.findIndex(({ type }) => type === 'response')).toBeGreaterThan(0);
  });

  it('fails when the journal fails meanwhile', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    const state = drain(scene);
    scene.world.journal.hold();
    scene.engine.turn.finish();
    await scene.world.settle();
    scene.world.journal.fail(new Error('disk full'));
    await scene.world.settle();
    expect(state.failed).toMatchObject({ message: 'journal: disk full' });
    expect(scene.response('p')).toBeUndefined();
  });

  it('while the server is still starting stops it, and recovery does not go live', async () => {
    const world = createWorld({ engines: [new ManualEngine()], store: createMemoryStore() });
    const client = world.connect();
    client.send({ type: 'create_session', id: 'c', sessionId: 's' });
    const started = world.system.start().then(
      () => 'started',
      () => 'refused',
    );
    const stopped = world.system.drain().then(
      () => 'stopped',
      (error: unknown) => error,
    );
    await world.settle();
    await world.advance(30_000);
    expect(await stopped).toBe('stopped');
    await started;
    expect(client.closedWith?.code).toBe(1001);
    expect(client.responses()).toEqual([]);
    expect(world.fatal).toEqual([]);
    expect(world.store.owner).toBeUndefined();
  });

  it('leaves a journal on which the next boot has nothing to classify', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    drain(scene);
    await scene.world.advance(30_000);
    const next = createWorld({ engines: [scene.engine], store: scene.world.store });
    const recovery = await next.start();
    expect(recovery).toMatchObject({ boot: 2, sessions: 1, requeued: 0, classified: [] });
  });
});
