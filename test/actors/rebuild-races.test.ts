/**
 * What happens at the same time as a rebuild: a second crash, a stop, a failing journal, a client that attaches, an engine that
 * does not let go.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../actors/connection.ts';
import { Deduplication } from '../../actors/deduplication.ts';
import { Router } from '../../actors/router.ts';
import { Acceptance } from '../../actors/session/acceptance.ts';
import { Session } from '../../actors/session/session.ts';
import { Subscriptions } from '../../actors/subscriptions.ts';
import { sessionCommand } from '../../src/commands/command.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { audit } from '../support/audit.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { Client } from '../support/world.ts';

const settle = { do: 'settle', outcome: { success: true, data: { done: true } } } as const;

const defect = (): never => {
  throw new Error('a defect');
};

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

const connectionOf = (client: Client): Connection => client.peer as Connection;

const answers = ({ client }: Scene, ...ids: string[]): number[] =>
  ids.map((id) => client.responses().filter((response) => response['id'] === id).length);

async function crashCore(scene: Scene): Promise<void> {
  vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
  await scene.send({ type: 'ping', id: 'crash' });
}

/** `poison` throws in the mailbox as often as it is told. */
async function crashing(throws: number, lane: 'work' | 'control' = 'control'): Promise<Scene> {
  let tries = 0;
  const poison = sessionCommand({
    type: 'poison',
    scope: 'drive',
    lane,
    activity: 'user',
    fields: envelopes.session,
    decide: () => {
      tries += 1;
      if (tries > throws) return settle;
      return {
        ...settle,
        get facts(): never {
          return defect();
        },
      };
    },
  });
  return createScene({ commands: [poison] });
}

const poison = { type: 'poison', id: 'x', sessionId: 's' };

afterEach(() => void vi.restoreAllMocks());

describe('a command', () => {
  it.each([1, 2])('whose acceptance fails %i times is answered all the same', async (times) => {
    const scene = await createScene();
    await scene.send({ type: 'create_session', id: 'c2', sessionId: 't' });
    await scene.prompt('p', 't');
    const spy = vi.spyOn(Session.prototype, 'record');
    for (let time = 0; time < times; time += 1) spy.mockImplementationOnce(defect);
    await scene.send({ type: 'set_session_name', id: 'x', sessionId: 's', name: 'x', dependsOn: ['p'] });
    await scene.world.advance(0);
    scene.engine.turn.finish();
    await scene.world.advance(4_000_000);
    expect(answers(scene, 'x')).toEqual([1]);
  });

  it('that is poison behind a turn whose engine does not let go ends no timer and no process', async () => {
    const scene = await crashing(1, 'work');
    await scene.prompt('p');
    await scene.send(poison, { type: 'abort', id: 'a', sessionId: 's' });
    await scene.world.advance(31_000);
    await scene.world.advance(0);
    expect(scene.response('x')).toMatchObject({ success: true });
  });

  it('keeps its timeout when its session is rebuilt', async () => {
    const scene = await crashing(1);
    await scene.prompt('p');
    await scene.send({ type: 'prompt', id: 'q', sessionId: 's', message: 'x' }, poison);
    await scene.world.advance(0);
    scene.engine.turn.finish();
    await scene.world.advance(0);
    expect(scene.engine.turns).toHaveLength(2);
    await scene.world.advance(4_000_000);
    expect(scene.response('q')).toMatchObject({ errorCode: 'COMMAND_TIMEOUT' });
  });

  it('is known by its key while its session is rebuilt, and after a restart', async () => {
    const scene = await crashing(1);
    const named = { type: 'set_session_name', sessionId: 's', name: 'one', idempotencyKey: 'k' };
    await scene.send({ ...named, id: '1' });
    await scene.send(poison, { ...named, id: '2' });
    await scene.world.advance(0);
    expect(scene.response('2')).toMatchObject({ success: true, replayed: true });
    await scene.world.stop();
    const next = await createScene({ store: scene.world.store });
    await next.send({ ...named, id: '3' });
    expect(next.response('3')).toMatchObject({ success: true, replayed: true });
  });

  it('that was answered by a rebuild that failed afterwards is not answered again', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await crashCore(scene);
    vi.spyOn(Router.prototype, 'requeue').mockImplementationOnce(defect);
    await scene.world.advance(1000);
    await scene.world.advance(1000);
    expect(answers(scene, 'p')).toEqual([1]);
    expect(connectionOf(scene.client).pending).toBe(0);
  });

  it.each(['first', 'second'])(
    'is answered when the rebuild fails at its classification, the %s one',
    async (which) => {
      const scene = await createScene();
      await scene.send({ type: 'create_session', id: 'c2', sessionId: 't' });
      await scene.prompt('p', 's');
      await scene.prompt('q', 't');
      await scene.prompt('waits', 's');
      await crashCore(scene);
      const record = Session.prototype.record;
      const spy = vi.spyOn(Session.prototype, 'record');
      if (which === 'second') {
        spy.mockImplementationOnce(function (this: Session, draft, at) {
          return record.call(this, draft, at);
        });
      }
      spy.mockImplementationOnce(defect);
      await scene.world.advance(1000);
      await scene.world.advance(1000);
      expect(answers(scene, 'p', 'q')).toEqual([1, 1]);
      // The engines of both turns let go, and what waited behind the first one runs.
      for (const turn of [...scene.engine.turns]) turn.finish();
      await scene.world.settle();
      scene.engine.turn.finish();
      await scene.world.settle();
      expect(answers(scene, 'waits')).toEqual([1]);
      expect(connectionOf(scene.client).pending).toBe(0);
    },
  );

  it('whose outcome was being looked up when the journal failed is answered', async () => {
    const scene = await createScene({ limits: { idempotencyCacheBytesMax: 1 } });
    const frame = { type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' };
    await scene.send(frame);
    scene.client.frames.length = 0;
    scene.world.journal.hold();
    await scene.send({ type: 'set_session_name', id: 'm', sessionId: 's', name: 'y' }, frame);
    scene.world.journal.fail(full());
    scene.world.journal.pass();
    await scene.world.advance(20_000);
    expect(answers(scene, 'm', 'n')).toEqual([1, 1]);
    expect(connectionOf(scene.client).pending).toBe(0);
  });

  it('that turned out to be stored is counted once', async () => {
    const scene = await createScene();
    const { world } = scene;
    await scene.prompt('p');
    world.journal.hold();
    scene.engine.turn.finish();
    await world.settle();
    world.journal.die(new Error('the thread ended'));
    world.journal.pass();
    await world.advance(20_000);
    expect(scene.response('p')).toMatchObject({ success: true });
    await scene.send({ type: 'get_metrics', id: 'm' });
    expect(scene.response('m')).toMatchObject({ data: { commands: { inFlight: 1 } } });
  });
});

describe('an engine that has not let go', () => {
  it('holds its lane over a second crash of the session', async () => {
    const scene = await crashing(2);
    await scene.prompt('p');
    await scene.prompt('q');
    await scene.send(poison);
    await scene.world.advance(0);
    expect(scene.response('x')).toMatchObject({ success: true });
    expect(scene.engine.turns).toHaveLength(1);
  });

  it('holds its lane over a rebuild of everything', async () => {
    const scene = await crashing(1);
    await scene.prompt('p');
    await scene.prompt('q');
    await scene.send(poison);
    await scene.world.advance(0);
    await crashCore(scene);
    await scene.world.advance(0);
    expect(scene.engine.turns).toHaveLength(1);
  });

  it('keeps the name of its deleted session over a rebuild of everything', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.send({ type: 'delete_session', id: 'd', sessionId: 's' });
    await scene.send({ type: 'create_session', id: 'c', sessionId: 's' });
    await crashCore(scene);
    await scene.world.advance(1000);
    await scene.send({ type: 'prompt', id: 'p2', sessionId: 's', message: 'm' });
    expect(scene.engine.turns).toHaveLength(1);
  });

  it('keeps the name of its deleted session over a rebuild of the next incarnation', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.send({ type: 'delete_session', id: 'd', sessionId: 's' });
    vi.spyOn(Acceptance.prototype, 'tellQueued').mockImplementationOnce(defect);
    await scene.send({ type: 'create_session', id: 'c', sessionId: 's' });
    await scene.world.advance(1000);
    expect(scene.response('c')).toBeUndefined();
    scene.engine.turn.finish();
    await scene.world.advance(1000);
    expect(scene.response('c')).toMatchObject({ success: true });
  });
});

describe('a viewer', () => {
  it('is told of what it missed although somebody attached meanwhile', async () => {
    const { world, client, engine, prompt } = await createScene();
    await prompt('p');
    world.journal.hold();
    engine.turn.speak('half');
    engine.turn.endMessage('half');
    await world.settle();
    world.journal.die(new Error('the thread ended'));
    world.journal.keepFailing(full());
    world.journal.pass();
    await world.advance(3_000);
    const late = world.connect();
    late.send({ type: 'attach_session', id: 'a', sessionId: 's' });
    await world.settle();
    world.journal.mend();
    await world.advance(20_000);
    expect(client.of('session_lagging')).toHaveLength(1);
  });

  it('is not taken for one of the next incarnation', async () => {
    const { world, client, send } = await createScene();
    world.journal.hold();
    await send(
      { type: 'delete_session', id: 'd', sessionId: 's' },
      { type: 'create_session', id: 'c', sessionId: 's' },
    );
    world.journal.die(new Error('the thread ended'));
    world.journal.pass();
    await world.advance(20_000);
    const isAttached = connectionOf(client).attached.has('s');
    expect(client.of('session_lagging').length > 0 || !isAttached).toBe(true);
  });

  it('gives back its place when its attach was not durable', async () => {
    const { world, client, send } = await createScene();
    await send({ type: 'create_session', id: 'c2', sessionId: 't' });
    world.journal.hold();
    await send(
      { type: 'set_session_name', id: 'n', sessionId: 't', name: 'x' },
      { type: 'attach_session', id: 'a', sessionId: 't' },
    );
    world.journal.fail(full());
    world.journal.pass();
    await world.advance(20_000);
    expect([...connectionOf(client).attached]).toEqual(['s']);
  });
});

describe('a stop', () => {
  it('that expires while a session is rebuilt ends each command once, in its own lane', async () => {
    const scene = await crashing(1);
    const { world } = scene;
    await scene.prompt('p');
    await scene.prompt('q');
    world.journal.hold();
    scene.engine.turn.speak('x');
    await scene.send(poison);
    void world.system.drain();
    await world.advance(30_001);
    world.journal.pass();
    await world.advance(40_000);
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
    expect(answers(scene, 'p', 'q', 'x')).toEqual([1, 1, 1]);
    const next = await createScene({ store: copyStore(world.store) });
    await next.send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(next.response('r')).toMatchObject({ data: { isStreaming: false } });
    await next.prompt('p2');
    expect(next.engine.turns).toHaveLength(1);
  });

  it('answers what came while everything was rebuilt', async () => {
    const scene = await createScene();
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    scene.client.send({ type: 'ping', id: 'x' });
    scene.client.send({ type: 'get_state', id: '1', sessionId: 's' });
    void scene.world.system.drain();
    scene.client.send({ type: 'get_state', id: '2', sessionId: 's' });
    await scene.world.advance(40_000);
    expect(answers(scene, 'x', '1', '2')).toEqual([1, 1, 1]);
  });

  it('is not followed by a restart that was under way', async () => {
    let listen: () => void = () => undefined;
    const scene = await createScene({ restartTransports: () => new Promise((resolve) => (listen = resolve)) });
    const { world } = scene;
    world.journal.failNext(full());
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
    await world.advance(0);
    await world.stop();
    const entries = world.store.rows.length;
    listen();
    await world.advance(10_000);
    expect(world.store.owner).toBeUndefined();
    expect(world.store.rows.length).toBe(entries);
  });

  it('does not wait for a read that was answered', async () => {
    const scene = await createScene();
    scene.client.send({ type: 'verify_journal', id: 'v' });
    let isOver = false;
    void scene.world.system.drain().then(() => (isOver = true));
    await scene.world.advance(1000);
    expect(scene.response('v')).toMatchObject({ success: true });
    expect(isOver).toBe(true);
  });

  it('leaves no timer behind for an engine that does not let go', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.send({ type: 'abort', id: 'a', sessionId: 's' });
    await scene.world.stop();
    expect(scene.world.clock.pendingTimers).toBe(0);
  });
});

describe('a rebuild', () => {
  it('in which a defect of one session shows brings down that session alone', async () => {
    const scene = await createScene();
    await scene.send({ type: 'create_session', id: 'c2', sessionId: 't' });
    await scene.prompt('p');
    await scene.prompt('q');
    const record = Session.prototype.record;
    vi.spyOn(Session.prototype, 'record').mockImplementation(function (this: Session, draft, at) {
      if (draft.kind === 'command.started' && draft.commandId === 'q') defect();
      return record.call(this, draft, at);
    });
    await crashCore(scene);
    scene.engine.turn.finish();
    await scene.world.advance(60_000);
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 't', name: 'x' });
    expect(scene.world.fatal).toEqual([]);
    expect(scene.response('n')).toMatchObject({ success: true });
  });

  it('that is given up while its classification becomes durable takes no work back', async () => {
    const slow = new ManualEngine('slow');
    slow.ready = false;
    const scene = await createScene({ engines: [new ManualEngine('manual'), slow] });
    const { world } = scene;
    await scene.send({ type: 'create_session', id: 'c', sessionId: 't', engine: 'slow' });
    world.journal.die(new Error('the thread ended'), 1);
    await scene.send({ type: 'steer', id: 'lost', sessionId: 's', message: 'm' });
    await crashCore(scene);
    await world.advance(10_000);
    slow.loaded();
    await world.settle();
    await world.advance(10_000);
    slow.loaded();
    await world.settle();
    expect(answers(scene, 'c')).toEqual([1]);
    expect(audit(await entriesOf(world.store))).toMatchObject({ problems: [], open: [] });
  });

  it('at the start of the process that is given up refuses the start', async () => {
    const first = await createScene();
    await first.prompt('p');
    const world = createWorld({ engines: [new ManualEngine()], store: copyStore(first.world.store) });
    vi.spyOn(Subscriptions.prototype, 'announceLifecycle').mockImplementationOnce(defect);
    await expect(world.start()).rejects.toThrow('a defect');
    await expect(world.system.drain()).rejects.toThrow('did not start');
  });

  it('serves reads although nobody can listen again', async () => {
    const scene = await createScene({ restartTransports: () => Promise.reject(new Error('EADDRINUSE')) });
    scene.world.journal.keepFailing(full());
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
    await scene.send({ type: 'get_state', id: 'r', sessionId: 's' });
    await scene.world.advance(3_000);
    expect(scene.response('r')).toMatchObject({ stale: true });
  });

  it('of a session ends with the rebuild of everything, and leaves no actor', async () => {
    const scene = await crashing(1);
    const before = scene.world.system.live.actors;
    scene.client.send(poison);
    await crashCore(scene);
    await scene.world.advance(1000);
    expect(scene.world.system.live.actors).toBe(before);
  });
});
