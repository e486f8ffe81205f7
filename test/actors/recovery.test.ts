/**
 * A process that dies after any of its commits: what a boot makes of what is left, and what the next boots find.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/journal/memory.ts';
import { audit } from '../support/audit.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import { copyStore, createWatchedJournal, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

type Store = World['store'];

const READS: ReadonlySet<string> = new Set(['attach_session', 'get_state', 'get_messages', 'list_sessions', 'ping']);

/** Not stored: the same id may be tried again. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ID_CONFLICT',
  'IDEMPOTENCY_CONFLICT',
  'DEPENDENCY_UNKNOWN',
  'MAILBOX_FULL',
]);

/** Boots on a copy of what is left. The engines are there and never end a turn. */
async function boot(store: Store, limits = {}) {
  const engines = [new ManualEngine(), new ManualEngine('slow')];
  const world = createWorld({ store: copyStore(store), engines, limits });
  const recovery = await world.start();
  return { world, recovery, engine: engines[0]! };
}

/** A server whose commits are counted, and the places where a crash can cut its journal. */
async function watched() {
  const store = createMemoryStore();
  const journal = createWatchedJournal(store);
  const player = await ScriptPlayer.start({ store, journal });
  return { player, store, commits: journal.commits };
}

describe('a crash after any commit', () => {
  it('leaves one outcome per command, and the next boot nothing to classify', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(scripts(30), fc.nat(), async (steps, where) => {
        const { player, store, commits } = await watched();
        await player.play(steps);
        player.world.journal.pass();
        await player.world.settle();
        const cut = commits[where % commits.length] ?? 0;
        const left = copyStore(store, cut);

        const first = await boot(left);
        // Work that was taken back may hold a turn: ending the server gives everything its outcome.
        const drained = first.world.system.drain();
        await first.world.advance(2_000_000);
        await drained;
        const { problems, open } = audit(await entriesOf(first.world.store));
        expect(problems).toEqual([]);
        expect(open).toEqual([]);

        const second = await boot(first.world.store);
        expect(second.recovery).toMatchObject({ classified: [], requeued: 0 });
      }),
      { numRuns: 200 },
    );
  });

  it('is classified the same way by every boot on the same journal', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(scripts(30), fc.nat(), async (steps, where) => {
        const { player, store, commits } = await watched();
        await player.play(steps);
        player.world.journal.pass();
        await player.world.settle();
        const left = copyStore(store, commits[where % commits.length] ?? 0);

        const [one, other] = [await boot(left), await boot(left)];
        expect(one.recovery.classified).toEqual(other.recovery.classified);
        expect(one.recovery.requeued).toBe(other.recovery.requeued);
        for (const id of SESSIONS) {
          // A creation that is taken back draws its epoch anew.
          const sessions = [one, other].map(({ world }) => ({
            ...world.system.session(id)?.state,
            epoch: null,
            incarnation: null,
          }));
          expect(sessions[0]).toEqual(sessions[1]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('loses nothing that a client was told', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(scripts(30), async (steps) => {
        const { player, store } = await watched();
        await player.play(steps);
        // What was told by now is durable by now, whatever is still held back.
        const told = player.client.responses().filter((frame) => frame['replayed'] !== true);
        const next = await boot(store);
        const outcomes = new Map(
          [...audit(await entriesOf(store)).outcomes.values()].map((end) => [end.commandId, end.success]),
        );
        for (const response of told) {
          if (READS.has(String(response['command']))) continue;
          if (REFUSALS.has(String(response['errorCode']))) continue;
          expect(outcomes.get(String(response['id'])), JSON.stringify(response)).toBe(response['success']);
        }
        expect(next.world.fatal).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});

/** A session with a running turn, one behind it, a name behind that, and control that waits for the turn. */
async function busy() {
  const engine = new ManualEngine();
  const world = createWorld({ engines: [engine] });
  await world.start();
  const client = world.connect();
  client.send({ type: 'create_session', id: 'create', sessionId: 's' });
  client.send({ type: 'set_session_name', id: 'named', sessionId: 's', name: 'before' });
  client.send({ type: 'prompt', id: 'running', sessionId: 's', message: 'one' });
  client.send({ type: 'prompt', id: 'waiting', sessionId: 's', message: 'two' });
  client.send({ type: 'set_session_name', id: 'behind', sessionId: 's', name: 'after' });
  client.send({ type: 'steer', id: 'control', sessionId: 's', message: 'x', dependsOn: ['running'] });
  client.send({ type: 'get_state', id: 'read', sessionId: 's' });
  client.send({ type: 'set_session_name', id: 'needs-read', sessionId: 's', name: 'z', dependsOn: ['read'] });
  await world.settle();
  return world;
}

describe('a boot', () => {
  it('has the sessions there without any command, with name, version and messages', async () => {
    const { world } = await boot((await busy()).store);
    const client = world.connect();
    client.send({ type: 'list_sessions', id: 'l' });
    client.send({ type: 'get_state', id: 'g', sessionId: 's' });
    await world.settle();
    expect(client.response('l')?.['data'].sessions).toHaveLength(1);
    expect(client.response('g')).toMatchObject({ success: true, data: { sessionName: 'before' }, sessionVersion: 1 });
  });

  it('ends what had started as INTERRUPTED, control as well, and takes work that had not started back in order', async () => {
    const { world, recovery, engine } = await boot((await busy()).store);
    expect(recovery.classified.map(({ commandId, errorCode, reason }) => [commandId, errorCode, reason])).toEqual([
      ['running', 'INTERRUPTED', 'started'],
      ['control', 'INTERRUPTED', 'control'],
    ]);
    expect(recovery.requeued).toBe(3);
    await world.settle();
    expect(engine.turns.map(({ request }) => request.commandId)).toEqual(['waiting']);
    const client = world.connect();
    client.send({ type: 'set_session_name', id: 'behind', sessionId: 's', name: 'after' });
    engine.turns[0]!.finish({ status: 'completed' });
    await world.settle();
    expect(client.response('behind')).toMatchObject({ success: true, replayed: true, sessionVersion: 3 });
  });

  it('does not know a read of an earlier boot: what depends on it fails as `read lost`', async () => {
    const { world, engine } = await boot((await busy()).store);
    await world.settle();
    engine.turns[0]!.finish({ status: 'completed' });
    await world.settle();
    const client = world.connect();
    client.send({ type: 'set_session_name', id: 'needs-read', sessionId: 's', name: 'z', dependsOn: ['read'] });
    await world.settle();
    const response = client.response('needs-read');
    expect(response).toMatchObject({ success: false, errorCode: 'DEPENDENCY_FAILED', replayed: true });
    expect(response?.['error']).toContain('read lost');
  });

  it('ends waiting work as INTERRUPTED when it is told not to take it back', async () => {
    const { recovery } = await boot((await busy()).store, { requeue: false });
    expect(recovery.requeued).toBe(0);
    expect(recovery.classified.map(({ commandId }) => commandId)).toEqual([
      'running',
      'waiting',
      'behind',
      'control',
      'needs-read',
    ]);
  });

  it('says in get_startup_recovery and its event what it classified, and 0 the next time', async () => {
    const { world } = await boot((await busy()).store, { requeue: false });
    const client = world.connect();
    client.send({ type: 'get_startup_recovery', id: 'r' });
    await world.settle();
    expect(client.of('startup_recovery_summary')[0]?.['data']).toMatchObject({ recoveredInFlightFailures: 5 });
    expect(client.response('r')?.['data']).toMatchObject({ recoveredInFlightFailures: 5, boot: 2 });
    const next = await boot(world.store);
    expect(next.recovery).toMatchObject({ classified: [], boot: 3 });
  });

  it('closes for later viewers what the interrupted turn had opened', async () => {
    const before = await busy();
    const engine = before.system.session('s')!;
    expect(engine.state?.turn?.commandId).toBe('running');
    const { world } = await boot(before.store, { requeue: false });
    expect(world.system.session('s')?.state).toMatchObject({ turn: null, seq: 1 });
    expect(audit(await entriesOf(world.store)).problems).toEqual([]);
  });
});
