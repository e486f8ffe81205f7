/**
 * Attaching is a barrier: what a client sees is its snapshot and everything after it, exactly once.
 */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import type { Client } from '../support/world.ts';

/** Numbers of the durable events that a client saw. */
function seqs(client: Client): number[] {
  return client
    .of('event')
    .filter((frame) => frame['ephemeral'] !== true)
    .map((frame) => frame['seq'] as number);
}

function deltas(client: Client): string {
  const updates = client.of('event').filter((frame) => frame['event'].type === 'message_update');
  return updates.map((frame) => String(frame['event'].assistantMessageEvent.delta)).join('');
}

const attach = (id: string, sessionId = 's') => ({ type: 'attach_session', id, sessionId });

describe('attaching', () => {
  it('shows every durable event after the watermark once, wherever the commits fall', async () => {
    for (let releases = 0; releases < 4; releases += 1) {
      const { world, engine, prompt } = await createScene();
      await prompt('p');
      const late = world.connect();
      world.journal.hold();
      const say = async (text: string): Promise<void> => {
        engine.turn.emit({ type: 'message_end', message: { role: 'assistant', content: text } });
        await world.settle();
      };
      await say('1');
      late.send(attach('a'));
      if (releases === 1) world.journal.release(1);
      await say('2');
      if (releases === 2) world.journal.release(1);
      await say('3');
      world.journal.pass();
      await world.settle();
      await say('4');
      const { watermark } = late.response('a')?.['data'] as { watermark: number };
      expect(seqs(late)).toEqual([1, 2, 3, 4].filter((seq) => seq > watermark));
      expect(watermark).toBe(1);
    }
  });

  it('says synced behind the answer and before the first event, with the place of the snapshot', async () => {
    const { client, world, send } = await createScene();
    world.journal.hold();
    await send({ type: 'set_session_name', id: 'n1', sessionId: 's', name: '1' }, attach('a'), {
      type: 'set_session_name',
      id: 'n2',
      sessionId: 's',
      name: '2',
    });
    world.journal.pass();
    await world.settle();
    const types = client.frames.filter(({ type }) => ['event', 'session_synced'].includes(type));
    expect(types.map((frame) => [frame.type, frame['seq'] ?? frame['data'].seq] as unknown)).toEqual([
      ['event', 1],
      ['session_synced', 1],
      ['event', 2],
    ]);
    expect(client.response('a')?.['data']).toMatchObject({ watermark: 1 });
  });

  it('misses no delta that comes while its answer waits for another session’s commit', async () => {
    const { world, engine, prompt, send } = await createScene();
    await prompt('p');
    engine.turn.speak('a');
    await send({ type: 'create_session', id: 'c', sessionId: 'b' });
    const late = world.connect();
    world.journal.hold();
    late.send({ type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' });
    await world.settle();
    late.send(attach('a'));
    engine.turn.delta('b');
    await world.settle();
    engine.turn.delta('c');
    world.journal.pass();
    await world.settle();
    engine.turn.delta('d');
    expect(late.response('a')?.['data'].turn.text).toBe('a');
    expect(deltas(late)).toBe('bcd');
  });

  it('shows no delta twice that was on its way when it attached', async () => {
    const { world, engine, prompt } = await createScene();
    await prompt('p');
    const late = world.connect();
    world.journal.hold();
    engine.turn.speak('a');
    await world.settle();
    late.send(attach('a'));
    await world.settle();
    world.journal.pass();
    await world.settle();
    engine.turn.delta('b');
    expect(late.response('a')?.['data'].turn.text).toBe('a');
    expect(deltas(late)).toBe('b');
  });

  it('again gives a new snapshot, and no event twice', async () => {
    const { client, send } = await createScene();
    await send(attach('again'), { type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    expect(seqs(client)).toEqual([1]);
  });

  it('under an id that was used before attaches the connection that asks', async () => {
    const { world, send } = await createScene();
    const other = world.connect();
    other.send(attach('attach'));
    await world.settle();
    expect(other.response('attach')).toMatchObject({ success: false, errorCode: 'ID_CONFLICT' });
    other.send({ type: 'attach_session', id: 'attach', sessionId: 's', deltas: 'compact' });
    await world.settle();
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    expect(seqs(other)).toEqual([1]);
  });

  it('twice at once under one id attaches both connections', async () => {
    const { world, engine, prompt } = await createScene();
    await prompt('p');
    const first = world.connect();
    const second = world.connect();
    const frame = { ...attach('both'), dependsOn: ['p'] };
    first.send(frame);
    second.send(frame);
    await world.settle();
    engine.turn.finish();
    await world.settle();
    first.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' });
    await world.settle();
    expect(second.response('both')).toMatchObject({ success: true });
    expect(seqs(first)).toEqual([1]);
    expect(seqs(second)).toEqual([1]);
  });

  it('leaves nothing behind when the client left before it took effect', async () => {
    const { world } = await createScene();
    const late = world.connect();
    late.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await world.settle();
    world.journal.hold();
    late.send({ type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' });
    late.send(attach('a', 'b'));
    await world.settle();
    late.leave();
    world.journal.pass();
    await world.settle();
    const seen = late.frames.length;
    world.connect().send({ type: 'set_session_name', id: 'n2', sessionId: 'b', name: 'n2' });
    await world.settle();
    expect(late.frames).toHaveLength(seen);
  });
});

describe('detaching', () => {
  it('right behind an attach that has not taken effect ends it', async () => {
    const { client, world, send } = await createScene();
    world.journal.hold();
    await send(
      { type: 'create_session', id: 'c', sessionId: 'b' },
      attach('a', 'b'),
      { type: 'detach_session', id: 'd', sessionId: 'b' },
      { type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' },
    );
    world.journal.pass();
    await world.settle();
    expect(client.response('d')).toMatchObject({ success: true });
    expect(seqs(client)).toEqual([]);
  });
});
