/**
 * A command that takes the process down whenever it acts: its tries are counted over process crashes, and at the last one it is
 * set aside. What is not declared idempotent is not tried again at all.
 */
import { describe, expect, it } from 'vitest';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { sessionCommand } from '../../src/commands/command.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { audit } from '../support/audit.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';

/** A boot on `store`, in which the command `lethal` ends the process: what it leaves behind is the store as it is then. */
async function boot(store: MemoryStore | undefined, idempotent: boolean) {
  const deaths: MemoryStore[] = [];
  let scene: Scene | undefined = undefined;
  const lethal = sessionCommand({
    type: 'lethal',
    scope: 'drive',
    lane: 'work',
    activity: 'user',
    idempotent,
    fields: envelopes.session,
    decide: () => {
      deaths.push(copyStore(scene?.world.store ?? store!));
      return { do: 'settle', outcome: { success: true } };
    },
  });
  scene = await createScene({ commands: [lethal], ...(store === undefined ? {} : { store }) });
  await scene.world.settle();
  return { scene, deaths };
}

/** The process died while `lethal` waited behind a turn. */
async function waiting(idempotent: boolean): Promise<MemoryStore> {
  const { scene } = await boot(undefined, idempotent);
  await scene.prompt('p');
  await scene.send(
    { type: 'lethal', id: 'x', sessionId: 's' },
    { type: 'set_session_name', id: 'n', sessionId: 's', name: 'behind' },
  );
  return copyStore(scene.world.store);
}

describe('a command that ends the process whenever it acts', () => {
  it('is tried three times over as many processes, then set aside, and what waited behind it runs', async () => {
    let store = await waiting(true);
    for (const attempt of [1, 2, 3]) {
      const { deaths } = await boot(store, true);
      expect(deaths).toHaveLength(1);
      store = deaths[0]!;
      const last = (await entriesOf(store)).at(-1);
      expect(last).toMatchObject({ kind: 'command.started', commandId: 'x', attempt });
    }
    const { scene, deaths } = await boot(store, true);
    expect(deaths).toEqual([]);
    await scene.send(
      { type: 'lethal', id: 'x', sessionId: 's' },
      { type: 'get_state', id: 'r', sessionId: 's' },
      { type: 'verify_journal', id: 'v' },
    );
    expect(scene.response('x')).toMatchObject({ errorCode: 'COMMAND_QUARANTINED', replayed: true });
    expect(scene.response('r')).toMatchObject({ data: { sessionName: 'behind' } });
    expect(scene.response('v')).toMatchObject({ data: { ok: true } });
    expect(audit(await entriesOf(scene.world.store)).problems).toEqual([]);
  });

  it('is not tried again if it is not idempotent', async () => {
    const first = await boot(await waiting(false), false);
    expect(first.deaths).toHaveLength(1);
    const { scene, deaths } = await boot(first.deaths[0], false);
    expect(deaths).toEqual([]);
    await scene.send({ type: 'lethal', id: 'x', sessionId: 's' });
    expect(scene.response('x')).toMatchObject({ errorCode: 'INTERRUPTED', replayed: true });
  });

  it('is not blamed for crashes in which it only waited', async () => {
    const { scene } = await boot(undefined, true);
    await scene.prompt('p');
    for (const id of ['q1', 'q2', 'q3']) await scene.prompt(id);
    await scene.send({ type: 'lethal', id: 'x', sessionId: 's' });
    let store = copyStore(scene.world.store);
    // In each of these processes another prompt runs, and it waits.
    for (let crash = 0; crash < 3; crash += 1) {
      const next = await boot(store, true);
      expect(next.deaths).toEqual([]);
      store = copyStore(next.scene.world.store);
    }
    const { deaths } = await boot(store, true);
    expect((await entriesOf(deaths[0]!)).at(-1)).toMatchObject({ kind: 'command.started', commandId: 'x', attempt: 1 });
  });
});
