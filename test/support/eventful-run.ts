/**
 * A server that goes through much in little time, for those who look at what it wrote: instant work, turns, control, failures,
 * dependencies, an interrupted turn, a session that was deleted and made again, two restarts.
 */
import { copyStore, entriesOf } from './store.ts';
import { createScene } from './scene.ts';
import { createWorld } from './world.ts';
import type { Entry } from '../../actors/entry.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';

export async function eventfulRun(): Promise<MemoryStore> {
  const { world, send, prompt, engine } = await createScene();
  await send(
    { type: 'set_session_name', id: 'name', sessionId: 's', name: 'x', ifSessionVersion: 0 },
    { type: 'set_session_name', id: 'wrong', sessionId: 's', name: 'y', ifSessionVersion: 9 },
    { type: 'abort', id: 'lost', sessionId: 'nowhere' },
    { type: 'abort', id: 'idle', sessionId: 's' },
    { type: 'get_state', id: 'read', sessionId: 's' },
    { type: 'set_session_name', id: 'after-read', sessionId: 's', name: 'z', dependsOn: ['read', 'name'] },
    { type: 'steer', id: 'steer', sessionId: 's', message: 'left' },
    { type: 'create_session', id: 'other', sessionId: 'other' },
    { type: 'create_session', id: 'twice', sessionId: 'other' },
  );
  await prompt('p');
  await send(
    { type: 'set_session_name', id: 'late', sessionId: 's', name: 'y' },
    { type: 'set_session_name', id: 'far', sessionId: 'other', name: 'o', dependsOn: ['p'] },
    { type: 'set_session_name', id: 'in-vain', sessionId: 'other', name: 'o', dependsOn: ['p', 'lost'] },
  );
  engine.turn.speak('hel', 'lo');
  engine.turn.endMessage('hello');
  engine.turn.endRun();
  engine.turn.finish();
  await world.settle();
  await prompt('aborted');
  engine.turn.speak('never');
  await send({ type: 'abort', id: 'abort', sessionId: 's' });
  engine.turn.finish({ status: 'completed', resume: 'handle' });
  await world.settle();
  await send(
    { type: 'delete_session', id: 'delete', sessionId: 'other' },
    { type: 'create_session', id: 'again', sessionId: 'other' },
    { type: 'set_session_name', id: 'fresh', sessionId: 'other', name: 'new' },
  );
  await prompt('cut');
  engine.turn.speak('half');
  await send({ type: 'set_session_name', id: 'waits', sessionId: 's', name: 'later', dependsOn: ['cut'] });
  const second = await restarted(world.store);
  second.client.send({ type: 'set_session_name', id: 'second', sessionId: 's', name: 'two', dependsOn: ['late'] });
  await second.world.settle();
  return copyStore((await restarted(second.world.store)).world.store);
}

/** The same data under another server, as after kill -9. */
async function restarted(store: MemoryStore) {
  const world = createWorld({ store: copyStore(store) });
  await world.start();
  return { world, client: world.connect() };
}

export async function eventfulEntries(): Promise<Entry[]> {
  return entriesOf(await eventfulRun());
}
