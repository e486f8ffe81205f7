/**
 * One day in the life of a server, cut after each of its commits; and each boot that follows cut after each of its own.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { audit } from '../support/audit.ts';
import type { Audit } from '../support/audit.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { copyStore, createWatchedJournal, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

/** Runs the day, one commit per step, and says where each commit ended. */
async function theDay(): Promise<{ store: MemoryStore; cuts: readonly number[] }> {
  const store = createMemoryStore();
  const journal = createWatchedJournal(store);
  const engine = new ManualEngine();
  const slow = new ManualEngine('slow');
  slow.ready = false;
  const world = createWorld({ engines: [engine, slow], store, journal });
  await world.start();
  const client = world.connect();
  const send = async (type: string, id: string, fields: object = {}): Promise<void> => {
    client.send({ type, id, sessionId: 's', ...fields });
    await world.settle();
  };
  await send('create_session', 'create', { name: 'born' });
  await send('set_session_name', 'named', { name: 'named', idempotencyKey: 'k' });
  await send('steer', 'queued', { message: 'queued' });
  await send('prompt', 'p1', { message: 'one' });
  engine.turn.speak('hel');
  await world.settle();
  await send('steer', 'steered', { message: 'steered' });
  await send('prompt', 'p2', { message: 'two' });
  await send('set_session_name', 'n2', { name: 'later', dependsOn: ['p2'] });
  await send('steer', 'aside', { message: 'aside', dependsOn: ['p2'] });
  await send('create_session', 'other', { sessionId: 'b', engine: 'slow' });
  await send('prompt', 'pb', { sessionId: 'b', message: 'b', dependsOn: ['p1'] });
  engine.turn.endMessage('hello');
  engine.turn.endRun();
  engine.turn.finish({ status: 'completed', resume: 'leaf-1' });
  await world.settle();
  slow.loaded();
  await world.settle();
  engine.turn.speak('second');
  await world.settle();
  await send('abort', 'abort');
  engine.turn.finish({ status: 'completed', resume: 'leaf-2' });
  await world.settle();
  await send('prompt', 'p3', { message: 'three' });
  await send('follow_up', 'f3', { message: 'follow' });
  slow.turn.finish();
  await world.settle();
  await send('delete_session', 'delete', { sessionId: 'b' });
  await send('create_session', 'again', { sessionId: 'b' });
  engine.turn.finish({ status: 'failed', kind: 'provider', message: 'no' });
  await world.settle();
  await send('set_session_name', 'last', { name: 'last' });
  return { store, cuts: journal.commits };
}

async function boot(store: MemoryStore) {
  const watched = createWatchedJournal(store);
  const engine = new ManualEngine();
  const slow = new ManualEngine('slow');
  const world = createWorld({ engines: [engine, slow], store, journal: watched });
  const recovery = await world.start();
  await world.settle();
  /** Lets everything come to its end. */
  const finish = async (): Promise<void> => {
    for (let round = 0; round < 20; round += 1) {
      for (const turn of [...engine.turns, ...slow.turns]) turn.finish();
      await world.settle();
    }
  };
  return { world, recovery, engine, finish, commits: watched.commits };
}

function outcomesOf({ outcomes }: Audit): Map<string, string> {
  return new Map([...outcomes.values()].map((end) => [end.commandId, end.success ? 'ok' : (end.errorCode ?? '')]));
}

describe('a crash after each commit of a day', () => {
  let day: { store: MemoryStore; cuts: readonly number[] };
  beforeAll(async () => {
    day = await theDay();
  });

  it('leaves every accepted command with exactly one outcome, and what had one keeps it', async () => {
    expect(day.cuts.length).toBeGreaterThan(20);
    for (const cut of day.cuts) {
      const store = copyStore(day.store, cut);
      const before = audit(await entriesOf(store));
      const first = await boot(store);
      await first.finish();
      const after = audit(await entriesOf(store));
      expect(after.problems).toEqual([]);
      expect(after.open).toEqual([]);
      for (const [offset, end] of before.outcomes) expect(after.outcomes.get(offset)).toEqual(end);
      expect(first.recovery.classified.length + first.recovery.requeued).toBe(before.open.length);
      expect(first.world.fatal).toEqual([]);
    }
  });

  it('classifies what had started first, and the same way at every boot on the same journal', async () => {
    for (const cut of day.cuts) {
      const one = await boot(copyStore(day.store, cut));
      const other = await boot(copyStore(day.store, cut));
      expect(one.recovery.classified).toEqual(other.recovery.classified);
      expect(one.recovery.requeued).toBe(other.recovery.requeued);
      const phases = one.recovery.classified.map(({ lastPhase }) => lastPhase);
      expect(phases).toEqual([...phases].sort().reverse());
    }
  });

  it('followed by a crash in the middle of the boot ends the same', async () => {
    for (const cut of day.cuts) {
      const whole = copyStore(day.store, cut);
      const first = await boot(whole);
      for (const again of first.commits) {
        const store = copyStore(whole, again);
        const second = await boot(store);
        await second.finish();
        const { problems, open } = audit(await entriesOf(store));
        expect(problems).toEqual([]);
        expect(open).toEqual([]);
        const third = await boot(copyStore(store));
        expect(third.recovery).toMatchObject({ classified: [], requeued: 0 });
      }
    }
  });

  it('gives every command of the day again the outcome that it has, and runs none a second time', async () => {
    for (const cut of day.cuts) {
      const store = copyStore(day.store, cut);
      const first = await boot(store);
      await first.finish();
      const known = outcomesOf(audit(await entriesOf(store)));
      const rows = store.rows.length;
      const client = first.world.connect();
      const seen = new Set<string>();
      for (const entry of await entriesOf(store)) {
        if (entry.kind !== 'command.accepted' && entry.kind !== 'command.settled') continue;
        client.raw(entry.content.command);
        seen.add(entry.commandId);
      }
      await first.world.settle();
      for (const id of seen) {
        const answer = client.response(id);
        expect(answer?.['replayed']).toBe(true);
        expect(answer?.['success'] === true ? 'ok' : answer?.['errorCode']).toBe(known.get(id));
      }
      expect(store.rows).toHaveLength(rows);
    }
  });

  it('keeps versions, names, messages and queued messages as far as they were durable', async () => {
    for (const cut of day.cuts) {
      const entries = await entriesOf(copyStore(day.store, cut));
      const { world } = await boot(copyStore(day.store, cut));
      const state = world.system.session('s')?.state;
      const opened = entries.some((entry) => entry.lane === 'session:s');
      expect(state !== undefined).toBe(opened);
      if (state === undefined) continue;
      const ends = [...audit(entries).outcomes.values()].filter(({ lane }) => lane === 'session:s');
      const versions = ends.map((end) => end.sessionVersion ?? 0);
      // Work that is taken back may have gone on already.
      expect(state.version).toBeGreaterThanOrEqual(Math.max(...versions));
      const said = entries.filter((entry) => entry.kind === 'session.event' && entry.eventType === 'message_end');
      expect(state.messages.length).toBeGreaterThanOrEqual(said.filter(({ lane }) => lane === 'session:s').length);
    }
  });

  it('goes on from the handle of the last finished turn', async () => {
    const cut = day.cuts.at(-1);
    const { world, engine } = await boot(copyStore(day.store, cut));
    const client = world.connect();
    client.send({ type: 'prompt', id: 'next', sessionId: 's', message: 'm' });
    await world.settle();
    expect(engine.turn.request).toMatchObject({ resume: 'leaf-2', turn: 4 });
  });
});

describe('a boot with a smaller mailbox than before', () => {
  it('takes back all that was accepted, and none of it is stuck', async () => {
    const engine = new ManualEngine();
    const world = createWorld({ engines: [engine] });
    await world.start();
    const client = world.connect();
    client.send({ type: 'create_session', id: 'c', sessionId: 's' });
    client.send({ type: 'prompt', id: 'p0', sessionId: 's', message: 'm' });
    for (let index = 1; index <= 8; index += 1) {
      client.send({ type: 'prompt', id: `p${index}`, sessionId: 's', message: 'm' });
    }
    await world.settle();
    const store = copyStore(world.store);
    const next = createWorld({ engines: [engine], store, limits: { mailboxDepthMax: 3 } });
    const recovery = await next.start();
    expect(recovery).toMatchObject({ requeued: 8 });
    for (let round = 0; round < 20; round += 1) {
      for (const turn of engine.turns) turn.finish();
      await next.settle();
    }
    expect(audit(await entriesOf(store)).open).toEqual([]);
    const late = next.connect();
    late.send({ type: 'prompt', id: 'p8', sessionId: 's', message: 'm' });
    await next.settle();
    expect(late.response('p8')).toMatchObject({ success: true, replayed: true, sessionVersion: 8 });
  });
});
