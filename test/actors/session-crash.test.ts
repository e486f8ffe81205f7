/**
 * A defect that shows in one session: that session is folded again from the journal and goes on, a command that brings it down
 * again and again is set aside, and nobody else notices.
 */
import { describe, expect, it } from 'vitest';
import { sessionCommand } from '../../src/commands/command.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { audit } from '../support/audit.ts';
import { createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';
import { limits } from '../support/world.ts';

const settle = { do: 'settle', outcome: { success: true, data: { done: true } } } as const;

/** A command that throws inside the mailbox, `throws` times; and one whose event can't be folded. */
async function crashing(throws: number, lane: 'work' | 'control' | 'read' = 'work') {
  const tries = { count: 0 };
  const poison = sessionCommand({
    type: 'poison',
    scope: 'drive',
    lane,
    activity: 'user',
    fields: envelopes.session,
    decide: () => {
      tries.count += 1;
      if (tries.count > throws) return settle;
      return {
        ...settle,
        get facts(): never {
          throw new Error(`a defect, try ${tries.count}`);
        },
      };
    },
  });
  const unfoldable = sessionCommand({
    type: 'unfoldable',
    scope: 'drive',
    lane: 'work',
    activity: 'user',
    fields: envelopes.session,
    decide: () => ({ ...settle, events: [null as never] }),
  });
  const scene = await createScene({ commands: [poison, unfoldable] });
  return { ...scene, tries };
}

type Crashing = Awaited<ReturnType<typeof crashing>>;

async function expectSound({ world, client, send }: Crashing): Promise<void> {
  await send({ type: 'set_session_name', id: 'after', sessionId: 's', name: 'after' });
  expect(client.response('after')).toMatchObject({ success: true });
  expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  await send({ type: 'verify_journal', id: 'verify' });
  expect(client.response('verify')).toMatchObject({ data: { ok: true, problems: [] } });
  expect(world.system.live).toMatchObject({ timers: 0, held: 0 });
  expect(world.fatal).toEqual([]);
}

describe('a session in which a defect shows', () => {
  it.each(['work', 'control', 'read'] as const)('is rebuilt, and the %s command is tried again', async (lane) => {
    const scene = await crashing(1, lane);
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'before' });
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    await scene.world.advance(0);
    expect(scene.client.response('x')).toMatchObject({ success: true, data: { done: true } });
    await scene.send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(scene.client.response('r')).toMatchObject({ data: { sessionName: 'before' } });
    expect(scene.tries.count).toBe(2);
    await expectSound(scene);
  });

  it('keeps what came meanwhile, in order', async () => {
    const scene = await crashing(1);
    await scene.send(
      { type: 'poison', id: 'x', sessionId: 's' },
      { type: 'set_session_name', id: '1', sessionId: 's', name: 'one' },
      { type: 'get_state', id: '2', sessionId: 's' },
      { type: 'set_session_name', id: '3', sessionId: 's', name: 'three', dependsOn: ['1'] },
    );
    await scene.world.advance(0);
    const order = scene.client.responses().map(({ id }) => id);
    expect(order).toEqual(['x', '1', '2', '3']);
    expect(scene.client.response('2')).toMatchObject({ data: { sessionName: 'one' } });
    await expectSound(scene);
  });

  it('sets the command aside at the last try, and goes on', async () => {
    const scene = await crashing(Infinity);
    await scene.send(
      { type: 'poison', id: 'x', sessionId: 's' },
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'behind', dependsOn: ['x'] },
    );
    await scene.world.advance(0);
    expect(scene.tries.count).toBe(3);
    expect(scene.client.response('x')).toMatchObject({
      success: false,
      errorCode: 'COMMAND_QUARANTINED',
      details: { attempts: 3 },
    });
    expect(scene.client.response('n')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    expect(scene.client.response('x')).toMatchObject({ errorCode: 'COMMAND_QUARANTINED', replayed: true });
    expect(scene.tries.count).toBe(3);
    await expectSound(scene);
  });

  it('journals each further try before it is made', async () => {
    const scene = await crashing(Infinity);
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    await scene.world.advance(0);
    const tries = (await entriesOf(scene.world.store)).filter(({ kind }) => kind === 'command.started');
    expect(tries.map((entry) => entry.kind === 'command.started' && entry.attempt)).toEqual([1, 2]);
  });

  it('interrupts the turn that ran, closes it for its viewers, and waits for the engine', async () => {
    const scene = await crashing(1, 'control');
    const { client, engine, world } = scene;
    await scene.prompt('p');
    engine.turn.speak('half');
    await scene.send({ type: 'prompt', id: 'q', sessionId: 's', message: 'later' });
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    await world.advance(0);
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'INTERRUPTED' });
    expect(client.response('x')).toMatchObject({ success: true });
    expect(client.events().slice(-2)).toEqual(['turn_end', 'agent_end']);
    expect(engine.turns).toHaveLength(1);
    expect(engine.turn.aborted).toBe(true);
    engine.turn.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(2);
    engine.turn.finish();
    await world.settle();
    expect(client.response('q')).toMatchObject({ success: true });
    await expectSound(scene);
  });

  it('leaves other sessions alone', async () => {
    const scene = await crashing(Infinity);
    await scene.send({ type: 'create_session', id: 'c2', sessionId: 'other' });
    await scene.prompt('p', 'other');
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    await scene.world.advance(0);
    expect(scene.engine.turn.aborted).toBe(false);
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(scene.client.response('p')).toMatchObject({ success: true });
    await expectSound(scene);
  });

  it('is counted', async () => {
    const scene = await crashing(1);
    await scene.send({ type: 'poison', id: 'x', sessionId: 's' });
    await scene.world.advance(0);
    await scene.send({ type: 'get_metrics', id: 'm' });
    expect(scene.client.response('m')).toMatchObject({ data: { supervision: { restarts: 1 } } });
  });
});

describe('a session whose entries can not be folded', () => {
  async function quarantined() {
    const scene = await crashing(0);
    await scene.send({ type: 'create_session', id: 'c2', sessionId: 'other' });
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    await scene.send({ type: 'unfoldable', id: 'u', sessionId: 's' });
    await scene.world.advance(0);
    return scene;
  }

  it('is set aside, and says where', async () => {
    const scene = await quarantined();
    await scene.send(
      { type: 'get_state', id: '1', sessionId: 's' },
      { type: 'prompt', id: '2', sessionId: 's', message: 'm' },
      { type: 'create_session', id: '3', sessionId: 's' },
      { type: 'attach_session', id: '4', sessionId: 's' },
    );
    const offset = (await entriesOf(scene.world.store)).find(
      (entry) => entry.kind === 'command.settled' && entry.commandId === 'u',
    )!.offset;
    for (const id of ['1', '2', '3', '4']) {
      expect(scene.client.response(id)).toMatchObject({ errorCode: 'SESSION_QUARANTINED', details: { offset } });
    }
    await scene.send({ type: 'list_sessions', id: 'l' }, { type: 'get_state', id: 'o', sessionId: 'other' });
    expect(scene.client.response('l')).toMatchObject({
      data: { total: 2, sessions: [{ sessionId: 'other' }], quarantined: [{ sessionId: 's', offset }] },
    });
    expect(scene.client.response('o')).toMatchObject({ success: true });
  });

  it('still shows its history, and can be deleted and made anew', async () => {
    const scene = await quarantined();
    await scene.send({ type: 'get_command_history', id: 'h', sessionIdFilter: 's' });
    expect(scene.client.response('h')).toMatchObject({ success: true });
    await scene.send({ type: 'delete_session', id: 'd', sessionId: 's' });
    expect(scene.client.response('d')).toMatchObject({ success: true });
    await scene.send({ type: 'create_session', id: 'c', sessionId: 's' });
    expect(scene.client.response('c')).toMatchObject({ success: true });
    await expectSound(scene);
  });

  it('is set aside by every boot, until it is deleted', async () => {
    const first = await quarantined();
    await first.world.stop();
    const second = await createScene({ store: first.world.store });
    await second.send(
      { type: 'get_state', id: '1', sessionId: 's' },
      { type: 'get_state', id: '2', sessionId: 'other' },
    );
    expect(second.client.response('1')).toMatchObject({ errorCode: 'SESSION_QUARANTINED' });
    expect(second.client.response('2')).toMatchObject({ success: true });
    await second.send({ type: 'delete_session', id: 'd', sessionId: 's' });
    await second.world.stop();
    const third = await createScene({ store: first.world.store });
    await third.send({ type: 'list_sessions', id: 'l' });
    expect(third.client.response('l')).not.toHaveProperty('data.quarantined');
    await third.send(
      { type: 'create_session', id: 'c', sessionId: 's' },
      { type: 'get_state', id: '1', sessionId: 's' },
    );
    expect(third.client.response('1')).toMatchObject({ success: true });
  });
});

it('a session in which a defect shows while it comes into memory goes on where its lane ends', async () => {
  const journal = createMemoryJournal({ store: createMemoryStore() });
  const scan = journal.scan.bind(journal);
  let goesOn = (): void => undefined;
  const gate = new Promise<void>((resolve) => (goesOn = resolve));
  let isHeld = false;
  journal.scan = async (range) => {
    if (isHeld && range.lane !== undefined) await gate;
    return scan(range);
  };
  const { world, client, send } = await createScene({ journal });
  await world.advance(limits.passivationIdleMs * 1.5);
  expect(world.system.live.passive).toBe(1);
  isHeld = true;
  let isPlanted = false;
  world.system.observeCommands(({ commandId }, step) => {
    if (commandId !== 'bad' || step !== 'command.queued' || isPlanted) return;
    isPlanted = true;
    throw new Error('planted');
  });
  const ids = ['before', 'bad', 'behind'];
  await send(...ids.map((id) => ({ type: 'set_session_name', id, sessionId: 's', name: id })));
  goesOn();
  await world.advance(1_000);
  expect(isPlanted).toBe(true);
  expect(client.responses().map(({ id, sessionVersion }) => [id, sessionVersion] as unknown[])).toEqual([
    ['before', 1],
    ['bad', 2],
    ['behind', 3],
  ]);
  expect(world.observations).not.toContainEqual(expect.objectContaining({ message: 'a child failed' }));
  await send({ type: 'get_startup_recovery', id: 'r' });
  expect(client.response('r')).toMatchObject({ success: true, data: { boot: 1 } });
});
