/**
 * How long the outcome of a command is known, and where it is looked up.
 */
import { describe, expect, it, vi } from 'vitest';
import { audit } from '../support/audit.ts';
import { createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const name = (id: string | undefined, fields: object = {}) => ({
  type: 'set_session_name',
  ...(id === undefined ? {} : { id }),
  sessionId: 's',
  name: 'n',
  ...fields,
});

describe('what is kept of outcomes', () => {
  it('is read from the journal when it fell out of the cache', async () => {
    const { client, send, world } = await createScene({ limits: { idempotencyCacheBytesMax: 1 } });
    await send(name('a'), { type: 'create_session', id: 'c', sessionId: 'b' });
    await send({ type: 'prompt', id: 'p', sessionId: 'nobody', message: 'm' });
    await send(name('a'), { type: 'create_session', id: 'c', sessionId: 'b' });
    await send({ type: 'prompt', id: 'p', sessionId: 'nobody', message: 'm' });
    expect(client.response('a')).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
    expect(client.response('c')).toMatchObject({ success: true, replayed: true, data: { sessionId: 'b' } });
    expect(client.response('p')).toMatchObject({ errorCode: 'SESSION_NOT_FOUND', replayed: true });
    await send(name('a', { name: 'other' }));
    expect(client.response('a')).toMatchObject({ errorCode: 'ID_CONFLICT' });
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });

  it('is read when it is there: an outcome whose commit is under way is waited for', async () => {
    const { client, send, world } = await createScene({ limits: { idempotencyCacheBytesMax: 1 } });
    world.journal.hold();
    await send(name('a'));
    await send(name('a'));
    world.journal.pass();
    await world.settle();
    expect(client.responses()).toMatchObject([{ success: true }, { success: true, replayed: true }]);
  });

  it('is told also when the server begins to drain while it is looked up', async () => {
    const { client, send, world } = await createScene({ limits: { idempotencyCacheBytesMax: 1 } });
    await send(name('a'));
    const read = world.journal.read.bind(world.journal);
    let found!: () => void;
    const gate = new Promise<void>((resolve) => (found = resolve));
    vi.spyOn(world.journal, 'read').mockImplementation((offset) => gate.then(() => read(offset)));
    await send(name('a'));
    const drained = world.system.drain();
    await world.settle();
    expect([client.closedWith, client.responses().length]).toEqual([undefined, 1]);
    found();
    await world.settle();
    await drained;
    expect(client.responses()).toMatchObject([{ success: true }, { success: true, replayed: true }]);
  });

  it('of a read is nowhere else: it runs again', async () => {
    const { client, send } = await createScene({ limits: { idempotencyCacheBytesMax: 1 } });
    await send({ type: 'ping', id: 'ping' });
    await send({ type: 'ping', id: 'ping' });
    expect(client.responses()).toHaveLength(2);
    expect(client.response('ping')?.['replayed']).toBeUndefined();
  });

  it('of a read lives as long as the cache has room', async () => {
    const { client, send, world } = await createScene();
    await send({ type: 'ping', id: 'ping' });
    await world.advance(5000);
    await send({ type: 'ping', id: 'ping' });
    const [first, second] = client.responses();
    expect(second).toMatchObject({ replayed: true, data: first?.['data'] });
  });

  it('is forgotten oldest first, and what is in flight is not', async () => {
    const { client, send, prompt, engine, world } = await createScene({ limits: { idempotencyEntriesMax: 5 } });
    await prompt('p');
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    for (let index = 0; index < 10; index += 1) await send(name(`n${index}`, { sessionId: 'b' }));
    expect(world.system.live.known).toBeLessThanOrEqual(5);
    await prompt('p');
    engine.turn.finish();
    await world.settle();
    expect(client.responses().filter(({ id }) => id === 'p')).toMatchObject([{ success: true }, { replayed: true }]);
    await send(name('n9', { sessionId: 'b' }), name('n0', { sessionId: 'b' }));
    expect(client.response('n9')).toMatchObject({ replayed: true });
    expect(client.response('n0')).toMatchObject({ sessionVersion: 11 });
    expect(client.response('n0')?.['replayed']).toBeUndefined();
  });

  it('outlives a restart: ids and keys, successes and failures', async () => {
    const { send, world, engine } = await createScene();
    await send(
      name('a', { idempotencyKey: 'k' }),
      name('f', { ifSessionVersion: 9 }),
      { type: 'delete_session', id: 'd', sessionId: 's' },
      { type: 'create_session', id: 'c', sessionId: 'b' },
      { type: 'ping', id: 'ping' },
    );
    await world.stop();
    const next = createWorld({ engines: [engine], store: world.store });
    await next.start();
    const client = next.connect();
    for (const frame of [
      name('a', { idempotencyKey: 'k' }),
      name('f', { ifSessionVersion: 9 }),
      { type: 'delete_session', id: 'd', sessionId: 's' },
      { type: 'create_session', id: 'c', sessionId: 'b' },
      { type: 'create_session', id: 'c', sessionId: 'conflict' },
      { type: 'ping', id: 'ping' },
    ])
      client.send(frame);
    await next.settle();
    const responses = new Map(
      client.responses().map((frame) => [`${String(frame['id'])}${frame['success'] as string}`, frame]),
    );
    expect(responses.get('atrue')).toMatchObject({ replayed: true, sessionVersion: 1 });
    expect(responses.get('ffalse')).toMatchObject({
      replayed: true,
      errorCode: 'VERSION_MISMATCH',
      details: { expected: 9 },
    });
    expect(responses.get('dtrue')).toMatchObject({ replayed: true, data: { deleted: true } });
    expect(responses.get('dtrue')).not.toHaveProperty('sessionVersion');
    expect(responses.get('ctrue')).toMatchObject({ replayed: true, sessionVersion: 0, data: { sessionId: 'b' } });
    expect(responses.get('cfalse')).toMatchObject({ errorCode: 'ID_CONFLICT' });
    expect(responses.get('pingtrue')?.['replayed']).toBeUndefined();
    expect(client.of('session_created')).toEqual([]);
    expect(client.of('session_deleted')).toEqual([]);
  });
});
