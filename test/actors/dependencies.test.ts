/**
 * dependsOn: a command acts when all that it depends on has succeeded, and never when one of it failed.
 */
import { describe, expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { answered, createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

const name = (id: string, fields: object = {}) => ({
  type: 'set_session_name',
  id,
  sessionId: 's',
  name: id,
  ...fields,
});

const roomFor = (count: number) => ({
  mailboxDepthMax: count * 2,
  pendingMax: count * 2,
  queuedMessagesMax: count * 2,
  idempotencyEntriesMax: count * 4,
});

describe('a dependency that is refused at once', () => {
  it('is one that nobody knows', async () => {
    const { client, send } = await createScene();
    await send(name('b', { dependsOn: ['never'] }), name('b2', { dependsOn: ['anon:1:1'] }));
    expect(client.response('b')).toMatchObject({
      errorCode: 'DEPENDENCY_UNKNOWN',
      error: "Dependency 'never' is unknown",
    });
    expect(client.response('b2')).toMatchObject({ errorCode: 'DEPENDENCY_UNKNOWN' });
    expect(client.frames.map(({ type }) => type)).toEqual([
      'command_finished',
      'response',
      'command_finished',
      'response',
    ]);
  });

  it('is the command itself', async () => {
    const { client, send } = await createScene();
    await send(name('b', { dependsOn: ['b'] }));
    expect(client.response('b')).toMatchObject({
      errorCode: 'DEPENDENCY_SELF',
      error: "Command 'b' cannot depend on itself",
    });
  });

  it('is another principal’s', async () => {
    const { client, send, world } = await createScene();
    const other = world.connect({ id: 'other', scopes: ['observe', 'drive'] });
    other.send(name('theirs'));
    await world.settle();
    await send(name('mine', { dependsOn: ['theirs'] }));
    expect(client.response('mine')).toMatchObject({ errorCode: 'DEPENDENCY_UNKNOWN' });
  });

  it('leaves the id free for another try', async () => {
    const { client, send } = await createScene();
    await send(name('b', { dependsOn: ['a'] }), name('a'), name('b', { dependsOn: ['a'] }));
    expect(client.response('b')).toMatchObject({ success: true });
    expect(client.response('b')?.['replayed']).toBeUndefined();
  });
});

describe('a dependency', () => {
  it('that failed fails the command, which never acts', async () => {
    const { client, send } = await createScene();
    await send(
      { type: 'get_state', id: 'a', sessionId: 'nobody' },
      name('b', { dependsOn: ['a'] }),
      name('c', { dependsOn: ['b'] }),
    );
    expect(client.response('b')).toMatchObject({
      errorCode: 'DEPENDENCY_FAILED',
      error: "Dependency 'a' failed: Session nobody not found",
    });
    expect(client.response('c')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 0 });
  });

  it('pipelined on the same lane is satisfied by its order', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('a');
    await send(name('b', { dependsOn: ['a'] }), name('c', { dependsOn: ['a', 'b'] }));
    expect(answered(client)).toEqual([]);
    engine.turn.finish();
    await world.settle();
    expect(answered(client)).toEqual(['a', 'b', 'c']);
    for (const id of ['a', 'b', 'c']) expect(client.response(id)).toMatchObject({ success: true });
  });

  it('pipelined on the same lane fails the command when it fails', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('a');
    await send(name('b', { dependsOn: ['a'] }), name('c'));
    engine.turn.finish({ status: 'failed', kind: 'provider', message: 'no' });
    await world.settle();
    expect(client.response('b')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    expect(client.response('c')).toMatchObject({ success: true });
  });

  it('of another session holds the lane up, and nothing else', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('elsewhere', 'b');
    await send(
      name('n1', { dependsOn: ['elsewhere'] }),
      name('n2'),
      { type: 'get_state', id: 'r', sessionId: 's' },
      { type: 'steer', id: 'st', sessionId: 's', message: 'm' },
    );
    expect(answered(client)).toEqual(['b', 'r', 'st']);
    engine.turn.finish();
    await world.settle();
    expect(answered(client)).toEqual(['b', 'r', 'st', 'elsewhere', 'n1', 'n2']);
  });

  it('lets control and reads stand aside without blocking those behind', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(
      { type: 'get_state', id: 'r1', sessionId: 's', dependsOn: ['p'] },
      { type: 'steer', id: 's1', sessionId: 's', message: 'late', dependsOn: ['p'] },
      { type: 'ping', id: 'ping1', dependsOn: ['p'] },
      { type: 'get_state', id: 'r2', sessionId: 's' },
      { type: 'steer', id: 's2', sessionId: 's', message: 'now' },
      { type: 'ping', id: 'ping2' },
    );
    expect(answered(client)).toEqual(['r2', 's2', 'ping2']);
    expect(engine.turn.steers).toEqual([{ message: 'now' }]);
    engine.turn.finish();
    await world.settle();
    expect(answered(client).slice(3)).toEqual(['p', 'r1', 's1', 'ping1']);
    expect(client.response('r1')).toMatchObject({ sessionVersion: 2 });
    await prompt('next');
    expect(engine.turn.request.steers).toEqual([{ message: 'late' }]);
  });

  it('may be a read, also one that was answered long ago', async () => {
    const { client, send } = await createScene();
    await send({ type: 'ping', id: 'ping' });
    await send(name('n', { dependsOn: ['ping', 'create', 'ping'] }));
    expect(client.response('n')).toMatchObject({ success: true });
  });

  it('may be named twice', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    await send(name('n', { dependsOn: ['p', 'p'] }));
    engine.turn.finish();
    await world.settle();
    expect(client.response('n')).toMatchObject({ success: true });
  });

  it('that is aborted, times out or is deleted fails the command', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('p1', 'b');
    await send(name('n1', { dependsOn: ['p1'] }), { type: 'abort', id: 'a', sessionId: 'b' });
    expect(client.response('n1')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    engine.turn.finish();
    await world.settle();
    await prompt('p2', 'b');
    await send(name('n2', { dependsOn: ['p2'] }), { type: 'delete_session', id: 'd', sessionId: 'b' });
    expect(client.response('n2')).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
  });
});

describe('ten thousand commands in a chain', () => {
  it('over a hundred sessions are all settled, one after the other', { timeout: 60_000 }, async () => {
    const count = 10_000;
    const { client, send, prompt, engine, world } = await createScene({ limits: roomFor(count) });
    await prompt('n0');
    for (let index = 0; index < 100; index += 1) client.send({ type: 'create_session', sessionId: `b${index}` });
    await world.settle();
    for (let index = 1; index <= count; index += 1) {
      client.send(name(`n${index}`, { sessionId: `b${index % 100}`, dependsOn: [`n${index - 1}`] }));
    }
    await world.settle();
    engine.turn.finish();
    await world.settle();
    await send({ type: 'get_state', id: 'r', sessionId: 'b1' });
    expect(client.response(`n${count}`)).toMatchObject({ success: true });
    expect(client.response('r')?.['data']).toMatchObject({ sessionVersion: 100 });
    expect(world.system.live.timers).toBe(0);
  });

  it('standing aside are all settled as well', { timeout: 60_000 }, async () => {
    const count = 10_000;
    const { client, send, prompt, engine, world } = await createScene({ limits: roomFor(count) });
    await send({ type: 'create_session', id: 'b', sessionId: 'b' });
    await prompt('r0', 'b');
    for (let index = 1; index <= count; index += 1) {
      client.send({ type: 'steer', id: `r${index}`, sessionId: 's', message: 'm', dependsOn: [`r${index - 1}`] });
    }
    await world.settle();
    engine.turn.finish();
    await world.settle();
    expect(client.response(`r${count}`)).toMatchObject({ success: true });
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });
});
