import { expect, it } from 'vitest';
import { createWorld } from '../support/world.ts';

it('answers a prompt with the echo of its text, every frame in the order of the protocol', async () => {
  const world = createWorld();
  await world.start();
  const client = world.connect();
  client.send({ type: 'create_session', id: 'c1', sessionId: 's' });
  client.send({ type: 'switch_session', id: 'c2', sessionId: 's' });
  client.send({ type: 'prompt', id: 'c3', sessionId: 's', message: 'hello brave world' });
  client.send({ type: 'set_session_name', id: 'c4', sessionId: 's', name: 'n' });
  client.send({ type: 'get_last_assistant_text', id: 'c5', sessionId: 's' });
  await world.settle();
  client.send({ type: 'get_last_assistant_text', id: 'c6', sessionId: 's' });
  await world.settle();

  expect(client.response('c3')).toMatchObject({ success: true, sessionVersion: 1 });
});
