/** What is over is not kept: after any amount of work the server holds what it held before. */
import { expect, it } from 'vitest';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createScene } from '../support/scene.ts';

it('a thousand sessions that were used and deleted leave nothing but their names in the index', async () => {
  const { client, send, world } = await createScene({
    engines: [createEchoEngine()],
    limits: { idempotencyEntriesMax: 100, idempotencyCacheBytesMax: 10_000 },
  });
  const before = world.system.live;
  for (let index = 0; index < 1000; index += 1) {
    const sessionId = `x${index}`;
    await send(
      { type: 'create_session', id: `c${index}`, sessionId },
      { type: 'switch_session', id: `a${index}`, sessionId },
      { type: 'prompt', id: `p${index}`, sessionId, message: 'hello', idempotencyKey: 'k' },
      { type: 'steer', id: `s${index}`, sessionId, message: 'left', dependsOn: [`p${index}`] },
      { type: 'delete_session', id: `d${index}`, sessionId, dependsOn: [`s${index}`] },
    );
    client.frames.length = 0;
    client.texts.length = 0;
  }
  await world.settle();
  expect(world.system.live).toEqual({ ...before, known: world.system.live.known });
  expect(world.system.live.known).toBeLessThanOrEqual(100);
  // The lease of the session that is left, and the one that looks for idle sessions.
  expect(world.clock.pendingTimers).toBe(2);
});

it('a session that was prompted a hundred times holds no actor, no timer and no frame', async () => {
  const { send, client, world } = await createScene({ engines: [createEchoEngine()] });
  const before = world.system.live;
  for (let index = 0; index < 100; index += 1) {
    await send({ type: 'prompt', id: `p${index}`, sessionId: 's', message: 'hello' });
  }
  expect(client.response('p99')).toMatchObject({ success: true, sessionVersion: 100 });
  expect(world.system.live).toEqual({ ...before, known: world.system.live.known });
});

it('a session at rest holds no child', async () => {
  const { send, prompt, engine, world } = await createScene();
  const snapshot = () => (world.system.session('s')?.snapshot as { children: object }).children;
  expect(snapshot()).toEqual({});
  await prompt('p');
  expect(Object.keys(snapshot()).sort()).toEqual(['command', 'lane', 'turn']);
  engine.turn.finish();
  await send({ type: 'abort', sessionId: 's' });
  await world.settle();
  expect(snapshot()).toEqual({});
});
