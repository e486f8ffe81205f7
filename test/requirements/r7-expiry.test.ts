/**
 * R7, F4: a session ends at its deadline, whatever keeps its journal, and also when nobody was there to see it. One suite for
 * every journal.
 */
import { describe, expect, it } from 'vitest';
import type { Journal } from '../../actors/ports.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { entriesOf, onFreshData } from '../../src/testing/journal-under-test.ts';
import type { JournalSuite } from '../../src/testing/journal-under-test.ts';
import { createWorld } from '../support/world.ts';
import type { Client, Frame } from '../support/world.ts';
import { HOUR_MS, policy } from './lifetime.ts';

const stores = new Map<string, ReturnType<typeof createMemoryStore>>();

const suites: readonly JournalSuite[] = [
  {
    name: 'memory',
    durable: false,
    create: (dir) => {
      const store = stores.get(dir) ?? createMemoryStore();
      stores.set(dir, store);
      return createMemoryJournal({ store });
    },
  },
  { name: 'SQLite', durable: true, create: (dataDir) => createSqliteJournal({ dataDir }) },
];

type Clock = ReturnType<typeof createSimulatedClock>;

/** A server on the journal, whose I/O is real and whose time is not. */
async function boot(journal: Journal, clock: Clock) {
  const world = createWorld({ journal, clock, limits: { lease: policy } });
  const started = world.system.start();
  let isUp = false;
  void started.then(() => (isUp = true));
  await until(world, () => isUp);
  await started;
  const client = world.connect();
  const ask = async (type: string, fields: object = {}): Promise<Frame> => {
    const id = `${type}-${Math.random()}`;
    client.send({ type, id, ...fields });
    await until(world, () => client.response(id) !== undefined);
    return client.response(id)!;
  };
  return { world, client, ask };
}

/** The clock of the next server: the one that was killed must not be woken by it. */
const later = (clock: Clock, ms = 0): Clock => createSimulatedClock(clock.now() + ms);

async function until(world: { settle(): Promise<void> }, holds: () => boolean): Promise<void> {
  for (let round = 0; round < 100_000 && !holds(); round += 1) {
    await world.settle();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(holds(), 'it came to pass').toBe(true);
}

const listed = (frame: Frame): string[] =>
  (frame['data'].sessions as { sessionId: string }[]).map(({ sessionId }) => sessionId);

const deletions = (client: Client) => client.of('session_deleted').map(({ data }) => data as unknown);

describe.each(suites)('R7: with the $name journal, a session', (suite) => {
  it(
    'is readable a millisecond before its deadline, and expired at it',
    onFreshData(suite, async (create) => {
      const clock = createSimulatedClock();
      const journal = create();
      const { world, client, ask } = await boot(journal, clock);
      await ask('create_session', { sessionId: 's' });
      await ask('attach_session', { sessionId: 's' });
      await clock.advanceAsync(policy.baseMs - 1);
      expect(await ask('get_state', { sessionId: 's' })).toMatchObject({ success: true });
      expect(listed(await ask('list_sessions'))).toEqual(['s']);
      await clock.advanceAsync(1);
      for (const type of ['get_state', 'get_messages', 'attach_session', 'delete_session', 'abort']) {
        expect(await ask(type, { sessionId: 's' })).toMatchObject({ success: false, errorCode: 'SESSION_EXPIRED' });
      }
      expect(listed(await ask('list_sessions'))).toEqual([]);
      expect(deletions(client)).toEqual([{ sessionId: 's', reason: 'expired' }]);
      expect(world.system.live).toMatchObject({ sessions: 0, mailboxes: 0, leases: 0, timers: 0 });
      expect((await entriesOf(journal)).filter(({ kind }) => kind === 'session.expired')).toHaveLength(1);
    }),
  );

  it(
    'that expired stays so over restarts, and its name can be taken again',
    onFreshData(suite, async (create) => {
      const clock = createSimulatedClock();
      const first = create();
      const one = await boot(first, clock);
      await one.ask('create_session', { sessionId: 's' });
      await clock.advanceAsync(policy.baseMs);
      expect(await one.ask('get_state', { sessionId: 's' })).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
      await first.close();
      const second = create();
      const two = await boot(second, later(clock));
      expect(await two.ask('get_state', { sessionId: 's' })).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
      expect(await two.ask('get_state', { sessionId: 'other' })).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
      expect(await two.ask('create_session', { sessionId: 's' })).toMatchObject({ success: true });
      expect(await two.ask('get_state', { sessionId: 's' })).toMatchObject({ success: true, sessionVersion: 0 });
      await second.close();
      const three = await boot(create(), later(clock));
      expect(await three.ask('get_state', { sessionId: 's' })).toMatchObject({ success: true });
    }),
  );

  it(
    'whose deadline passed while the server was down is expired at the start, journalled once, and announced',
    onFreshData(suite, async (create) => {
      const clock = createSimulatedClock();
      const first = create();
      const one = await boot(first, clock);
      for (const sessionId of ['s', 'late']) {
        await one.ask('create_session', { sessionId });
        await clock.advanceAsync(2 * HOUR_MS);
      }
      await first.close();
      const second = create();
      const next = later(clock, policy.baseMs - 3 * HOUR_MS);
      const world = createWorld({ journal: second, clock: next, limits: { lease: policy } });
      const early = world.connect();
      let isUp = false;
      void world.system.start().then(() => (isUp = true));
      await until(world, () => isUp && deletions(early).length > 0);
      expect(deletions(early)).toEqual([{ sessionId: 's', reason: 'expired' }]);
      early.send({ type: 'list_sessions', id: 'list' });
      early.send({ type: 'get_state', id: 'state', sessionId: 's' });
      await until(world, () => early.response('state') !== undefined);
      expect(listed(early.response('list')!)).toEqual(['late']);
      expect(early.response('state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
      await second.close();
      const third = create();
      await boot(third, later(next));
      const expired = (await entriesOf(third)).filter(({ kind }) => kind === 'session.expired');
      expect(expired).toMatchObject([{ lane: 'session:s' }]);
      expect(await third.verify(Infinity)).toMatchObject({ ok: true, problems: [] });
    }),
  );

  it(
    'is warned and ended by timers that are armed again at the start, from absolute times',
    onFreshData(suite, async (create) => {
      const before = createSimulatedClock();
      const first = create();
      const one = await boot(first, before);
      await one.ask('create_session', { sessionId: 's' });
      await first.close();
      const clock = later(before, 5 * HOUR_MS);
      const { client, ask } = await boot(create(), clock);
      await ask('attach_session', { sessionId: 's' });
      const expiring = () => client.of('event').filter(({ event }) => event.type === 'session_expiring');
      await clock.advanceAsync(4 * HOUR_MS - 1);
      expect(expiring()).toHaveLength(0);
      await clock.advanceAsync(1);
      // It rests, and comes into memory to be warned: that takes its time, and time has to go on.
      const passing = { settle: () => clock.advanceAsync(1) };
      await until(passing, () => expiring().length === 1);
      await clock.advanceAsync(HOUR_MS);
      await until(passing, () => deletions(client).length === 1);
      expect(expiring()).toHaveLength(1);
    }),
  );
});
