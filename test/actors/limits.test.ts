/**
 * Everything that can be made to wait has a maximum, and says so at the edge.
 */
import { describe, expect, it } from 'vitest';
import { answered, createScene } from '../support/scene.ts';

const name = (id: string, fields: object = {}) => ({
  type: 'set_session_name',
  id,
  sessionId: 's',
  name: id,
  ...fields,
});
const steer = (id: string, fields: object = {}) => ({ type: 'steer', id, sessionId: 's', message: id, ...fields });

describe('a mailbox', () => {
  it('takes as much work as its depth, the running turn included, and refuses what is too much', async () => {
    const { client, send, prompt, engine, world } = await createScene({ limits: { mailboxDepthMax: 3 } });
    await prompt('p');
    await send(name('n1'), name('n2'), name('n3'));
    expect(answered(client)).toEqual(['n3']);
    expect(client.response('n3')).toMatchObject({ success: false, errorCode: 'MAILBOX_FULL' });
    expect(client.response('n3')?.['error']).toContain('3');
    // Refused before admission: no more than the end is shown, and nothing is stored.
    expect(client.frames.slice(-2).map(({ type }) => type)).toEqual(['command_finished', 'response']);
    engine.turn.finish();
    await world.settle();
    await send(name('n3'));
    expect(client.response('n3')).toMatchObject({ success: true, sessionVersion: 4 });
  });

  it('that is full still takes control and reads, which do not wait', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 2 } });
    await prompt('p');
    await send(name('n1'), steer('st'), { type: 'get_state', id: 'r', sessionId: 's' });
    await send({ type: 'abort', id: 'a', sessionId: 's' });
    expect(answered(client)).toEqual(['st', 'r', 'p', 'a']);
  });

  it('counts control and reads that stand aside, and refuses one more of them', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 3 } });
    await prompt('p');
    const read = (id: string) => ({ type: 'get_state', id, sessionId: 's', dependsOn: ['p'] });
    await send(steer('s1', { dependsOn: ['p'] }), read('r1'), read('r2'), steer('s2', { dependsOn: ['p'] }), name('n'));
    for (const id of ['r2', 's2', 'n']) expect(client.response(id)).toMatchObject({ errorCode: 'MAILBOX_FULL' });
  });

  it('bounds what waits for a session to be opened', async () => {
    const { client, send, engine } = await createScene({ limits: { mailboxDepthMax: 3 } });
    engine.ready = false;
    await send(
      { type: 'create_session', id: 'c', sessionId: 'new' },
      name('n1', { sessionId: 'new' }),
      { type: 'get_state', id: 'r1', sessionId: 'new' },
      steer('s1', { sessionId: 'new' }),
    );
    expect(answered(client)).toEqual(['s1']);
    expect(client.response('s1')).toMatchObject({ errorCode: 'MAILBOX_FULL' });
  });

  it('bounds what waits for the engine of a deleted session', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 2 } });
    await prompt('p');
    await send({ type: 'delete_session', id: 'd', sessionId: 's' });
    await send({ type: 'create_session', id: 'c', sessionId: 's' }, name('n1'), name('n2'));
    expect(client.response('n2')).toMatchObject({ errorCode: 'MAILBOX_FULL' });
    expect(client.response('n1')).toBeUndefined();
  });

  it('of the server bounds commands that wait for a dependency, and no other', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 2 } });
    await prompt('p');
    const ping = (id: string, dependsOn: string[] = []) => ({ type: 'ping', id, dependsOn });
    await send(ping('1', ['p']), ping('2', ['p']), ping('3', ['p']), ping('4'));
    expect(answered(client)).toEqual(['3', '4']);
    expect(client.response('3')).toMatchObject({ errorCode: 'MAILBOX_FULL' });
  });

  it('holds up its own session only', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 1 } });
    await prompt('p');
    await send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await send(name('n', { sessionId: 'b' }), name('full'));
    expect(client.response('n')).toMatchObject({ success: true });
    expect(client.response('full')).toMatchObject({ errorCode: 'MAILBOX_FULL' });
  });

  it('of a session is not consulted for a server command that names one in a field of its own', async () => {
    const { client, send, prompt } = await createScene({ limits: { mailboxDepthMax: 1 } });
    await prompt('p');
    await send(
      { type: 'ping', id: '1', sessionId: 's' },
      { type: 'ping', id: '2', sessionId: 7 },
      { type: 'ping', id: '3', sessionId: { a: [null] } },
      { type: 'ping', id: '4', sessionId: { toString: 1, valueOf: null } },
      { type: 'ping', id: '4', sessionId: { toString: 1, valueOf: null } },
      { type: 'ping', id: '5', sessionId: '__proto__', dependsOn: [] },
    );
    expect(answered(client)).toEqual(['1', '2', '3', '4', '4', '5']);
    for (const frame of client.responses()) expect(frame).toMatchObject({ success: true });
  });
});

describe('a connection', () => {
  it('has as many commands under way as it may, and is refused one more', async () => {
    const { client, send, prompt, engine, world } = await createScene({ limits: { pendingMax: 2 } });
    await prompt('p');
    await send(name('n1'), name('n2'), { type: 'ping', id: 'ping' });
    expect(client.response('n2')).toMatchObject({
      errorCode: 'TOO_MANY_PENDING',
      error: 'Too many pending commands for this connection (max 2)',
    });
    expect(client.response('ping')).toMatchObject({ errorCode: 'TOO_MANY_PENDING' });
    engine.turn.finish();
    await world.settle();
    await send(name('n2'), { type: 'ping', id: 'ping' });
    expect(client.response('n2')).toMatchObject({ success: true });
    expect(client.response('ping')).toMatchObject({ success: true });
  });

  it('always gets control through', async () => {
    const { client, send, prompt } = await createScene({ limits: { pendingMax: 1 } });
    await prompt('p');
    await send(steer('s1'), { type: 'abort', id: 'a', sessionId: 's' });
    expect(answered(client)).toEqual(['s1', 'p', 'a']);
  });

  it('does not count against another one', async () => {
    const { world, prompt } = await createScene({ limits: { pendingMax: 1 } });
    await prompt('p');
    const other = world.connect();
    other.send({ type: 'ping', id: 'ping' });
    await world.settle();
    expect(other.response('ping')).toMatchObject({ success: true });
  });

  it('counts a read until its answer has left', async () => {
    const { client, send, world } = await createScene({ limits: { pendingMax: 2 } });
    world.journal.hold();
    await send(name('n'), { type: 'ping', id: '1' }, { type: 'ping', id: '2' });
    world.journal.pass();
    await world.settle();
    await send({ type: 'ping', id: '3' });
    expect(client.response('1')).toMatchObject({ success: true });
    expect(client.response('2')).toMatchObject({ errorCode: 'TOO_MANY_PENDING' });
    expect(client.response('3')).toMatchObject({ success: true });
  });

  it('can not wait for one command more often than for several', async () => {
    const { client, send, prompt, engine, world } = await createScene({ limits: { pendingMax: 3 } });
    await prompt('p');
    for (let index = 0; index < 10; index += 1) await prompt('p');
    expect(client.responses()).toHaveLength(8);
    expect(client.responses()[0]).toMatchObject({ id: 'p', errorCode: 'TOO_MANY_PENDING' });
    engine.turn.finish();
    await world.settle();
    expect(client.responses().filter((frame) => frame['success'] === true)).toHaveLength(3);
    await send({ type: 'ping', id: '1' }, { type: 'ping', id: '2' });
    expect(client.response('2')).toMatchObject({ success: true });
  });

  it('sees a bounded number of sessions', async () => {
    const { client, send } = await createScene({ limits: { subscriptionsMax: 2 } });
    const both = (id: string) => [
      { type: 'create_session', id: `c${id}`, sessionId: id },
      { type: 'switch_session', id: `a${id}`, sessionId: id },
    ];
    await send(...both('x'), ...both('y'), { type: 'switch_session', id: 'again', sessionId: 'x' });
    expect(client.response('ax')).toMatchObject({ success: true });
    expect(client.response('ay')).toMatchObject({ success: false });
    expect(client.response('again')).toMatchObject({ success: true });
    await send(
      { type: 'detach_session', id: 'd', sessionId: 'x' },
      { type: 'switch_session', id: 'ay2', sessionId: 'y' },
    );
    expect(client.response('ay2')).toMatchObject({ success: true });
  });
});

describe('messages for the next turn', () => {
  it('are kept up to a maximum, and one more is refused', async () => {
    const { client, send, prompt, engine } = await createScene({ limits: { queuedMessagesMax: 2 } });
    await send(steer('1'), { type: 'follow_up', id: '2', sessionId: 's', message: '2' }, steer('3'));
    expect(client.response('3')).toMatchObject({ success: false, errorCode: 'MAILBOX_FULL' });
    await prompt('p');
    expect(engine.turn.request).toMatchObject({ steers: [{ message: '1' }], followUps: [{ message: '2' }] });
    await send(steer('4'));
    expect(client.response('4')).toMatchObject({ success: true });
  });

  it('count while the engine does not take them', async () => {
    const { client, send, prompt, engine } = await createScene({ limits: { queuedMessagesMax: 2 } });
    await prompt('p');
    for (const id of ['1', '2', '3']) await send(steer(id));
    for (const id of ['1', '2', '3']) expect(client.response(id)).toMatchObject({ success: true });
    engine.turn.takes = false;
    await send(steer('4'), steer('5'), steer('6'));
    expect(client.response('5')).toMatchObject({ success: true });
    expect(client.response('6')).toMatchObject({ errorCode: 'MAILBOX_FULL' });
  });
});
