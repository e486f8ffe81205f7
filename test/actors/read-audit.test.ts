/** Who looked at what: nothing of it unless the operator asks, then an entry per read, durable before the answer. */
import { describe, expect, it } from 'vitest';
import type { ReadAudited } from '../../actors/entry.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

const GET = { type: 'get_messages', id: 'read', sessionId: 's' };

async function audits(world: World): Promise<ReadAudited[]> {
  return (await entriesOf(world.store)).filter((entry): entry is ReadAudited => entry.kind === 'read.audited');
}

async function history(client: { response(id: string): unknown }, send: (frame: { type: string }) => Promise<void>) {
  await send({ type: 'get_command_history', id: 'history' } as { type: string });
  return JSON.stringify(client.response('history'));
}

it('Reads are not in history and cannot be depended on after a restart', async () => {
  const { world, client, send, prompt } = await createScene();
  await prompt('runs');
  const before = world.store.rows.length;
  await send(GET, { type: 'get_state', id: 'state', sessionId: 's' });
  expect(client.response('read')).toMatchObject({ success: true });
  expect(world.store.rows.length).toBe(before);
  expect(await history(client, send)).not.toMatch(/get_messages|get_state/);
  await send({ type: 'set_session_name', id: 'dependent', sessionId: 's', name: 'x', dependsOn: ['read'] });
  expect(client.response('dependent')).toBeUndefined();
  const next = createWorld({ store: copyStore(world.store) });
  await next.start();
  const again = next.connect();
  again.send({ type: 'set_session_name', id: 'dependent', sessionId: 's', name: 'x', dependsOn: ['read'] });
  again.send({ type: 'set_session_name', id: 'later', sessionId: 's', name: 'y', dependsOn: ['read'] });
  await next.settle();
  expect(again.response('dependent')).toMatchObject({
    success: false,
    errorCode: 'DEPENDENCY_FAILED',
    error: "Dependency 'read' failed: read lost",
    details: { reason: 'read lost' },
    replayed: true,
  });
  expect(again.response('later')).toMatchObject({ success: false, errorCode: 'DEPENDENCY_UNKNOWN' });
  expect(await next.journal.verify(next.store.rows.length)).toMatchObject({ ok: true, problems: [] });
});

describe('With journal.auditReads', () => {
  const limits = { auditReads: true };

  it('each read leaves id, principal, type and time, and nothing of what was asked or shown', async () => {
    const { world, client, send } = await createScene({ limits });
    const from = (await audits(world)).length;
    await world.clock.advanceAsync(5);
    await send(GET, { type: 'list_sessions' }, { type: 'get_state', id: 'none', sessionId: 'nowhere' });
    await send(GET);
    const found = (await audits(world)).slice(from);
    const by = { lane: 'server', principal: 'local', at: world.clock.now(), content: {} };
    expect(found).toMatchObject([
      { ...by, commandId: 'read', commandType: 'get_messages', explicitId: true, sessionId: 's' },
      { ...by, commandType: 'list_sessions', explicitId: false },
      { ...by, commandId: 'none', commandType: 'get_state', sessionId: 'nowhere' },
      { ...by, commandId: 'read', commandType: 'get_messages', sessionId: 's' },
    ]);
    expect(client.response('read')).toMatchObject({ success: true, replayed: true });
    expect(await history(client, send)).not.toMatch(/get_messages|read\.audited/);
    expect(await world.journal.verify(world.store.rows.length)).toMatchObject({ ok: true, problems: [] });
    const next = createWorld({ store: copyStore(world.store), limits });
    await next.start();
    expect(next.system.session('s')!.state).toEqual(world.system.session('s')!.state);
  });

  it('a read is answered when its entry is durable, the first time and when it is repeated', async () => {
    const { world, client, send } = await createScene({ limits });
    world.journal.hold();
    await send(GET);
    expect(client.response('read')).toBeUndefined();
    world.journal.pass();
    await world.settle();
    expect(client.response('read')).toMatchObject({ success: true });
    client.frames.length = 0;
    world.journal.hold();
    await send(GET);
    expect(client.response('read')).toBeUndefined();
    world.journal.pass();
    await world.settle();
    expect(client.response('read')).toMatchObject({ success: true, replayed: true });
  });

  it('reads go on while nothing can be recorded, and the log says which ones are not', async () => {
    const { world, client, send } = await createScene({ limits });
    world.journal.keepFailing(new Error('no room'));
    await send(GET);
    expect(client.response('read')).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    await world.advance(0);
    const count = (await audits(world)).length;
    await send({ ...GET, id: 'stale' });
    expect(client.response('stale')).toMatchObject({ success: true, stale: true });
    expect(world.observations).toContainEqual({
      level: 'warn',
      message: 'a read is not recorded: the journal can not be written',
      commandId: 'stale',
      commandType: 'get_messages',
      explicitId: true,
      principal: 'local',
      sessionId: 's',
    });
    expect(await audits(world)).toHaveLength(count);
    world.journal.mend();
    await world.advance(10_000);
    await send({ ...GET, id: 'again' });
    expect(client.response('again')).toMatchObject({ success: true });
    expect((await audits(world)).at(-1)).toMatchObject({ commandId: 'again' });
  });
});
