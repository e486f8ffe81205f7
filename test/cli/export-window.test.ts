/** `troupe export --as test` of windows in which more than commands happened: what time, a restore, a purge and an audit wrote. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { testOf } from '../../src/cli/export-test.ts';
import { Refusal } from '../../src/cli/refusal.ts';
import { checkConfig } from '../../src/config.ts';
import type { Config, ConfigInput } from '../../src/config.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { replayBundle } from '../../src/testing/replay-bundle.ts';
import type { Replayed, ReplayBundle } from '../../src/testing/index.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { Client, World } from '../support/world.ts';

const HOUR_MS = 3_600_000;
const ttl = { baseMs: 10 * HOUR_MS, extensionMs: 4 * HOUR_MS, extensionsMax: 2, thresholdMs: HOUR_MS };

function configOf(input: ConfigInput): Config {
  const checked = checkConfig(input);
  if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
  return checked.config;
}

async function begin(options: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(options);
  await world.start();
  return { world, client: world.connect() };
}

async function send(world: World, client: Client, ...frames: object[]): Promise<void> {
  for (const frame of frames) client.send(frame);
  await world.advance(1_000);
}

const name = (id: string, more: object = {}) => ({ type: 'set_session_name', id, sessionId: 's', name: id, ...more });
const create = (id: string, sessionId = 's') => ({ type: 'create_session', id, sessionId });

/** What the file says, and what comes of it when it is run. */
async function exported(entries: readonly Entry[], config: ConfigInput = {}) {
  const { text, leftOut, commands } = await testOf(entries, configOf(config), undefined);
  const part = (from: string, to: string) => text.slice(text.indexOf(from) + from.length, text.indexOf(to));
  const bundle = JSON.parse(part('const recorded: ReplayBundle = ', ';\n\nconst expected')) as ReplayBundle;
  const expected = JSON.parse(part('const expected: Replayed = ', ';\n\nit(')) as Replayed;
  expect(await replayBundle(bundle)).toEqual(expected);
  return { text, leftOut, commands, bundle, expected };
}

describe('a window in which sessions came to their end', () => {
  async function shortLives() {
    const { world, client } = await begin({ limits: { lease: ttl } });
    await send(world, client, create('c'), name('first'));
    // Announced, and extended by the next word.
    await world.advance(9.5 * HOUR_MS);
    await send(world, client, name('extends'));
    await world.advance(5 * HOUR_MS);
    await send(world, client, name('late'), create('again'), name('fresh'));
    return { world, client };
  }

  it('ends as it did, by the lifetimes of the configuration', async () => {
    const { world } = await shortLives();
    const entries = await entriesOf(world.store);
    const kinds = entries.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['lease.extended', 'session.expired']));
    const { bundle, expected, leftOut, commands } = await exported(entries, { session: { ttl } });
    expect([leftOut, commands]).toEqual([0, 6]);
    expect(bundle.config).toEqual({ session: { ttl } });
    expect(expected.outcomes).toMatchObject({
      extends: { success: true, sessionVersion: 2 },
      late: { success: false, errorCode: 'SESSION_EXPIRED' },
      fresh: { success: true, sessionVersion: 1 },
    });
    expect(expected.events['s']).toEqual([
      ...['session_changed', 'session_expiring', 'session_changed', 'session_expiring', 'session_changed'],
    ]);
  });

  it('is another one by other lifetimes, and says so', async () => {
    const { world } = await shortLives();
    const said = await testOf(await entriesOf(world.store), configOf({}), undefined).catch((error: unknown) => error);
    expect(said).toBeInstanceOf(Refusal);
    expect(String((said as Refusal).message)).toMatch(
      /^nothing of that window can be run again: session s: .*moments decided/,
    );
  });

  it('goes on to where time ended the last of them', async () => {
    const { world } = await shortLives();
    await world.advance(20 * HOUR_MS);
    const entries = await entriesOf(world.store);
    expect(entries.at(-1)).toMatchObject({ kind: 'session.expired' });
    const { bundle, expected, leftOut } = await exported(entries, { session: { ttl } });
    expect(leftOut).toBe(0);
    expect(bundle.endAt).toBe(entries.at(-1)!.at - bundle.startAt);
    expect(expected.events['s']!.at(-1)).toBe('session_expiring');
  });
});

it('a window with a restore in it ends as it did', async () => {
  const { world, client } = await begin();
  await send(world, client, create('c'), name('before'), { type: 'prompt', id: 'p', sessionId: 's', message: 'x' });
  const store = copyStore(world.store);
  const journal = createMemoryJournal({ store });
  const { offset } = await journal.open();
  const laneSeq = (await journal.head('session:s')) + 1;
  const place = { offset: offset + 1, lane: 'session:s', laneSeq, at: world.clock.now() };
  await commit(journal, [{ ...place, kind: 'session.restored', sessionId: 's', epoch: 'second', content: {} }]);
  await journal.close();
  const next = await begin({ store, clock: world.clock });
  await send(next.world, next.client, name('after'));
  const { expected, leftOut } = await exported(await entriesOf(store));
  expect(leftOut).toBe(0);
  expect(expected.outcomes).toMatchObject({ before: { sessionVersion: 1 }, after: { sessionVersion: 3 } });
});

describe('a window in which a session was purged', () => {
  const purge = { type: 'purge_session', id: 'purge', sessionId: 's' };

  it('leaves out what was purged, and runs the session that came after it', async () => {
    const { world, client } = await begin();
    await send(world, client, create('o', 'other'), { ...create('c'), name: 'said' }, name('gone'));
    await send(world, client, purge);
    await send(world, client, create('anew'), name('kept'));
    const { text, expected } = await exported(await entriesOf(world.store));
    expect(Object.keys(expected.outcomes)).toEqual(['o', 'anew', 'kept']);
    expect(expected.events).toEqual({ s: ['session_changed'] });
    expect(text).toContain(' * - create_session c: was blanked: what it asked for is not there any more\n');
    expect(text).toContain(' * - set_session_name gone: comes behind one of session s that is left out\n');
    expect(text).toContain(' * - purge_session purge: is about the server and no session\n');
  });

  it('of which nothing is left says why', async () => {
    const { world, client } = await begin();
    await send(world, client, { ...create('c'), name: 'said' }, name('gone'));
    await send(world, client, purge);
    const said = await testOf(await entriesOf(world.store), configOf({}), undefined).catch((error: unknown) => error);
    expect(said).toMatchObject({ name: 'Refusal', exitCode: 1 });
    expect((said as Refusal).message).toBe(
      'nothing of that window can be run again: create_session c: was blanked: what it asked for is not there any more',
    );
  });
});

it('what waits for a read is left out with the reason: who audits reads records that they were asked for, and not what', async () => {
  const { world, client } = await begin({ limits: { auditReads: true } });
  const read = { type: 'get_state', id: 'read', sessionId: 's' };
  await send(
    world,
    client,
    create('c'),
    create('o', 'other'),
    read,
    name('waits', { dependsOn: ['read'] }),
    name('behind'),
  );
  await send(world, client, { ...name('elsewhere', { dependsOn: ['c'] }), sessionId: 'other' });
  const entries = await entriesOf(world.store);
  expect(entries.map(({ kind }) => kind)).toContain('read.audited');
  const { text, expected } = await exported(entries);
  expect(Object.keys(expected.outcomes)).toEqual(['c', 'o', 'elsewhere']);
  const why = 'waits for read, which is a read: what it asked for is not recorded';
  expect(text).toContain(` * - set_session_name waits: ${why}\n`);
  const later = entries.filter(({ at }) => at >= entries.at(-1)!.at);
  const said = await testOf(later, configOf({}), undefined).catch((error: unknown) => error);
  expect((said as Refusal).message).toContain('waits for c, which is not in this window');
});

it('a session that was there before the window is run from where it was made anew', async () => {
  const { world, client } = await begin();
  await send(world, client, create('c'));
  const from = world.clock.now();
  await send(
    world,
    client,
    name('old'),
    { type: 'delete_session', id: 'd', sessionId: 's' },
    create('anew'),
    name('new'),
  );
  const { expected, text } = await exported((await entriesOf(world.store)).filter(({ at }) => at >= from));
  expect(expected).toEqual({
    outcomes: { anew: { success: true, sessionVersion: 0 }, new: { success: true, sessionVersion: 1 } },
    events: { s: ['session_changed'] },
  });
  expect(text).toContain(' * - session s: was there before this window begins\n');
});

it('a session that is made in the part that is run is not made again behind one that is left out', async () => {
  const { world, client } = await begin();
  const read = { type: 'get_state', id: 'read', sessionId: 's' };
  await send(world, client, create('c'), read, name('waits', { dependsOn: ['read'] }));
  await send(world, client, { type: 'delete_session', id: 'd', sessionId: 's' }, create('anew'), name('new'));
  const { text, expected } = await exported(await entriesOf(world.store));
  expect(expected).toEqual({ outcomes: { c: { success: true, sessionVersion: 0 } }, events: {} });
  expect(text).toContain(' * - create_session anew: comes behind one of session s that is left out\n');
});
