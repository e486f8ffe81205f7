/**
 * A defect that can't be blamed on one session: what is folded is given up as a whole and folded again, and no frame is left
 * without its answer. The defects are planted where nothing is expected to throw.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Deduplication } from '../../actors/deduplication.ts';
import { ReleaseQueue } from '../../actors/release-queue.ts';
import { audit } from '../support/audit.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

const defect = (): never => {
  throw new Error('a defect');
};

afterEach(() => void vi.restoreAllMocks());

async function expectSound({ world, client, send }: Scene): Promise<void> {
  await send({ type: 'set_session_name', id: 'after', sessionId: 's', name: 'after' });
  expect(client.response('after')).toMatchObject({ success: true });
  expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  await send({ type: 'verify_journal', id: 'verify' }, { type: 'health_check', id: 'health' });
  expect(client.response('verify')).toMatchObject({ data: { ok: true, problems: [] } });
  expect(client.response('health')).toMatchObject({ data: { healthy: true } });
  expect(world.system.live).toMatchObject({ timers: 0, held: 0 });
  expect(world.fatal).toEqual([]);
}

describe('a defect in the directory', () => {
  it('answers the command in which it showed, and those that came behind it', async () => {
    const scene = await createScene();
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    await scene.send(
      { type: 'set_session_name', id: '1', sessionId: 's', name: 'one' },
      { type: 'set_session_name', id: '2', sessionId: 's', name: 'two' },
      { type: 'get_state', id: '3', sessionId: 's' },
    );
    await scene.world.advance(0);
    expect(scene.response('1')).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    expect(scene.response('2')).toMatchObject({ success: true });
    expect(scene.response('3')).toMatchObject({ success: true, data: { sessionName: 'two' } });
    expect(scene.response('3')).not.toHaveProperty('stale');
    await expectSound(scene);
  });

  it('answers a command that was admitted and in no mailbox yet', async () => {
    const scene = await createScene();
    vi.spyOn(Deduplication.prototype, 'register').mockImplementationOnce(defect);
    await scene.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'one' });
    await scene.world.advance(0);
    expect(scene.response('1')).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    await scene.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'one' });
    expect(scene.response('1')).toMatchObject({ success: true });
    await expectSound(scene);
  });

  it('shows what was recorded before it, as soon as that is durable', async () => {
    const scene = await createScene();
    scene.world.journal.hold();
    await scene.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'one' });
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    await scene.send({ type: 'get_state', id: '2', sessionId: 's' });
    await scene.world.advance(0);
    expect(scene.response('1')).toBeUndefined();
    scene.world.journal.pass();
    await scene.world.advance(0);
    expect(scene.response('1')).toMatchObject({ success: true, sessionVersion: 1 });
    await expectSound(scene);
  });

  it('interrupts turns, keeps waiting work, and announces the recovery', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.prompt('q');
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    await scene.send({ type: 'ping', id: 'x' });
    await scene.world.advance(0);
    expect(scene.response('p')).toMatchObject({ errorCode: 'INTERRUPTED' });
    expect(scene.client.of('startup_recovery_summary')).toMatchObject([{ data: { boot: 2, requeued: 1 } }]);
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(scene.engine.turns).toHaveLength(2);
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(scene.response('q')).toMatchObject({ success: true });
    await expectSound(scene);
  });

  it('ends the process when it shows again and again', async () => {
    const scene = await createScene();
    const find = vi.spyOn(Deduplication.prototype, 'find').mockImplementation(defect);
    for (let time = 0; time < 40; time += 1) {
      await scene.send({ type: 'ping', id: `ping ${time}` });
      await scene.world.advance(1000);
    }
    find.mockRestore();
    expect(scene.world.fatal).toHaveLength(1);
    expect(scene.world.fatal[0]!.message).toContain('directory');
  });

  it('and a journal that fails before what was recorded is durable: nobody is told what was not', async () => {
    const scene = await createScene();
    scene.world.journal.hold();
    await scene.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'one' });
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    await scene.send({ type: 'get_state', id: '2', sessionId: 's' });
    scene.world.journal.fail(new Error('disk full'));
    scene.world.journal.pass();
    await scene.world.advance(10_000);
    expect(scene.response('1')).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    await expectSound(scene);
  });
});

describe('who waits for the same command as somebody who left', () => {
  it('is told as soon as the rebuilt core knows', async () => {
    const scene = await createScene();
    const { world, client } = scene;
    const gone = world.connect();
    // The batches of the core that is given up have higher numbers than those of the next one for long.
    for (let index = 0; index < 20; index += 1) {
      gone.send({ type: 'set_session_name', id: `n${index}`, sessionId: 's', name: `${index}` });
      await world.settle();
    }
    const prompt = { type: 'prompt', id: 'p', sessionId: 's', message: 'x' };
    gone.send(prompt);
    await scene.send(prompt);
    gone.leave();
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    await scene.send({ type: 'ping', id: 'x' });
    await world.advance(0);
    expect(client.response('p')).toMatchObject({ errorCode: 'INTERRUPTED' });
    expect(client.of('command_finished').map(({ data }) => data.commandId as string)).toContain('p');
    scene.engine.turn.finish();
    await world.settle();
    await expectSound(scene);
  });
});

describe('a defect in what is released', () => {
  it('lets everybody else get theirs', async () => {
    const scene = await createScene();
    const hold = ReleaseQueue.prototype.hold;
    vi.spyOn(ReleaseQueue.prototype, 'hold').mockImplementationOnce(function (this: ReleaseQueue, batch) {
      hold.call(this, batch, defect);
    });
    const other = scene.world.connect();
    other.send({ type: 'set_session_name', id: '1', sessionId: 's', name: 'one' });
    other.send({ type: 'set_session_name', id: '2', sessionId: 's', name: 'two' });
    await scene.world.settle();
    await scene.world.advance(0);
    expect(other.response('2')).toMatchObject({ success: true, sessionVersion: 2 });
    await expectSound(scene);
  });
});
