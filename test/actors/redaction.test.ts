/** Redaction against replay: what is stored is redacted, what runs is not, and what lost something is never run from the journal. */
import { describe, expect, it } from 'vitest';
import type { CommandAccepted, CommandFinished } from '../../actors/entry.ts';
import { createRedaction } from '../../src/journal/redaction.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

const SECRET = 'sk-abcdef123456';
const redaction = { keys: ['password'], patterns: ['sk-[a-z0-9]{6,}'] };

/** The process died, and another one took its place. */
async function reborn(world: World) {
  const next = createWorld({ store: copyStore(world.store), redaction, clock: world.clock });
  await next.start();
  return { next, client: next.connect() };
}

async function storedText(world: World): Promise<string> {
  return JSON.stringify(await entriesOf(world.store));
}

describe('Redaction against replay', () => {
  it('stores the mark where the session shows the value, and the fold of what is stored is what redaction leaves', async () => {
    const world = createWorld({ redaction });
    await world.start();
    const client = world.connect();
    client.send({
      type: 'create_session',
      id: 'c',
      sessionId: 's',
      name: `n ${SECRET}`,
      labels: { [SECRET]: SECRET, password: 'hunter2' },
      input: { delayMs: 1 },
    });
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: `say ${SECRET}` });
    client.send({ type: 'steer', id: 'q', sessionId: 's', message: `later ${SECRET}` });
    await world.advance(1_000);
    client.send({ type: 'follow_up', id: 'f', sessionId: 's', message: `for next ${SECRET}` });
    await world.settle();
    client.send({ type: 'get_messages', id: 'm', sessionId: 's' });
    await world.settle();
    expect(JSON.stringify(client.response('m'))).toContain(`say ${SECRET}`);
    expect(await storedText(world)).not.toMatch(/sk-|hunter2/);
    client.send({ type: 'get_session_snapshot', id: 'now', sessionId: 's' });
    await world.settle();
    expect(client.response('now')).toMatchObject({ success: true, data: { context: { name: 'n [redacted]' } } });
    expect(JSON.stringify(client.response('now'))).not.toMatch(/sk-|hunter2/);
    const live = world.system.session('s')!.state!;
    const { next } = await reborn(world);
    expect(next.system.session('s')!.state).toEqual(createRedaction(redaction)!.state(live));
    expect(next.system.session('s')!.state).toMatchObject({
      version: live.version,
      seq: live.seq,
      name: 'n [redacted]',
    });
  });

  it('knows the same frame after a restart by the text as it was received, and another one as a conflict', async () => {
    const world = createWorld({ redaction });
    await world.start();
    const client = world.connect();
    const create = { type: 'create_session', id: 'c', sessionId: 's', name: SECRET };
    const rename = { type: 'set_session_name', id: 'r', sessionId: 's', name: `to ${SECRET}`, idempotencyKey: 'k' };
    client.send(create);
    client.send(rename);
    await world.settle();
    const { next, client: again } = await reborn(world);
    again.send(rename);
    again.send({ ...rename, id: 'r2' });
    again.send({ ...create, name: `${SECRET}x` });
    again.send({ ...rename, id: 'r', idempotencyKey: undefined, name: 'to [redacted]' });
    await next.settle();
    expect(again.response('r2')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
    expect(again.response('c')).toMatchObject({ success: false, errorCode: 'ID_CONFLICT' });
    expect(again.responses().filter(({ id }) => id === 'r')).toMatchObject([
      { success: true, replayed: true },
      { success: false, errorCode: 'ID_CONFLICT' },
    ]);
  });

  it('ends what lost something as INTERRUPTED once, and runs the rest', async () => {
    const { world, client, prompt } = await createScene({ redaction });
    await prompt('running');
    client.send({ type: 'prompt', id: 'lost', sessionId: 's', message: SECRET });
    client.send({ type: 'set_session_name', id: 'whole', sessionId: 's', name: 'fine' });
    client.send({ type: 'set_session_name', id: 'dependent', sessionId: 's', name: 'x', dependsOn: ['lost'] });
    await world.settle();
    expect(
      (await entriesOf(world.store)).find(
        (entry) => entry.kind === 'command.accepted' && entry.commandId === 'lost',
      ) as CommandAccepted,
    ).toMatchObject({ redacted: true });
    const { next, client: again } = await reborn(world);
    const ends = (await entriesOf(next.store)).filter(
      (entry): entry is CommandFinished => entry.kind === 'command.finished',
    );
    expect(ends.find(({ commandId }) => commandId === 'lost')).toMatchObject({
      success: false,
      errorCode: 'INTERRUPTED',
      recovered: 'redacted',
      content: { details: { reason: 'redacted' } },
    });
    expect(next.system.session('s')!.state).toMatchObject({ name: 'fine' });
    again.send({ type: 'prompt', id: 'lost', sessionId: 's', message: SECRET });
    again.send({ type: 'get_startup_recovery', id: 'g' });
    await next.settle();
    expect(again.response('lost')).toMatchObject({
      errorCode: 'INTERRUPTED',
      replayed: true,
      details: { reason: 'redacted' },
    });
    expect(ends.find(({ commandId }) => commandId === 'dependent')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    const third = await reborn(next);
    third.client.send({ type: 'get_startup_recovery', id: 'g' });
    await third.next.settle();
    expect(third.client.response('g')).toMatchObject({ data: { recoveredInFlightFailures: 0 } });
  });

  it('runs the command itself after a rebuild in the same process, where it is still at hand', async () => {
    const { world, client, engine, prompt } = await createScene({ redaction });
    await prompt('running');
    client.send({ type: 'prompt', id: 'waits', sessionId: 's', message: `say ${SECRET}` });
    await world.settle();
    world.journal.keepFailing(new Error('no room'));
    client.send({ type: 'create_session', id: 'x', sessionId: 'x' });
    await world.advance(0);
    world.journal.mend();
    engine.turn.finish();
    await world.advance(10_000);
    expect(client.response('running')).toMatchObject({ errorCode: 'INTERRUPTED' });
    expect(engine.turns).toHaveLength(2);
    expect(engine.turn.request.input).toEqual({ message: `say ${SECRET}` });
    engine.turn.finish();
    await world.settle();
    expect(client.response('waits')).toMatchObject({ success: true });
    expect(await storedText(world)).not.toContain('sk-');
  });
});
