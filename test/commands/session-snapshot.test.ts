/** get_session_snapshot over a real runtime: a session now, and at every event that it went through. */
import { expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';

let asked = 0;

async function snapshot({ client, world }: Pick<Scene, 'client' | 'world'>, fields: object = {}) {
  const id = `snapshot-${(asked += 1)}`;
  client.send({ type: 'get_session_snapshot', id, sessionId: 's', ...fields });
  for (let round = 0; round < 50 && client.response(id) === undefined; round += 1) await world.settle();
  return client.response(id)!;
}

it('shows the state value, the context and the charts below, now and at every event before', async () => {
  const scene = await createScene();
  const { send, prompt, engine, world } = scene;
  const seen: unknown[] = [(await snapshot(scene))['data']];
  const note = async (): Promise<void> => {
    await world.settle();
    const { data } = await snapshot(scene);
    seen[data.seq as number] = data;
  };
  await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
  await note();
  await prompt('p');
  for (const type of ['agent_start', 'turn_start'] as const) {
    engine.turn.emit({ type });
    await note();
  }
  engine.turn.startMessage('hel', 'lo');
  engine.turn.endMessage('hello');
  await note();
  expect(seen.at(-1)).toMatchObject({
    seq: 4,
    value: { active: { busy: { turn: 'running' } } },
    context: { sessionId: 's', name: 'x', turn: { commandId: 'p' }, messages: [{ role: 'assistant' }] },
    children: { turn: { value: 'streaming', context: { commandId: 'p' } }, command: { value: 'running' } },
    machineId: 'session',
    machineVersion: '2',
  });
  engine.turn.endRun();
  engine.turn.finish();
  await note();
  const head = (seen.at(-1) as { seq: number }).seq;
  for (let seq = 0; seq < head; seq += 1) {
    if (seen[seq] === undefined) continue;
    const { data, success } = await snapshot(scene, { seq });
    expect([success, data]).toEqual([true, seen[seq]]);
  }
  expect(seen.filter((each) => each !== undefined).length).toBeGreaterThan(5);
});

it('says CURSOR_EXPIRED with the newest event for one that has not been yet, and does not find a session that is gone', async () => {
  const scene = await createScene();
  const { epoch } = scene.world.system.session('s')!.state!;
  expect(await snapshot(scene, { seq: 7 })).toMatchObject({
    success: false,
    errorCode: 'CURSOR_EXPIRED',
    error: 'Session s has no event 7: the newest one is 0',
    details: { epoch, headSeq: 0 },
  });
  expect(await snapshot(scene, { sessionId: 'gone' })).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
  expect(await snapshot(scene, { seq: -1 })).toMatchObject({ errorCode: 'VALIDATION_FAILED' });
});

it('is of the incarnation that is there', async () => {
  const scene = await createScene();
  await scene.send(
    { type: 'set_session_name', id: 'n', sessionId: 's', name: 'old' },
    { type: 'delete_session', id: 'd', sessionId: 's' },
    { type: 'create_session', id: 'c', sessionId: 's' },
    { type: 'set_session_name', id: 'n2', sessionId: 's', name: 'new' },
  );
  expect(await snapshot(scene, { seq: 1 })).toMatchObject({ data: { seq: 1, context: { name: 'new' } } });
});
