/**
 * get_command_history over the journal of a real runtime: phases, filters, pages in both directions, and a bound on what one
 * question reads.
 */
import { derivedOf } from '../support/store.ts';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { createWorld } from '../support/world.ts';
import type { Client, World } from '../support/world.ts';

interface Item {
  readonly [field: string]: Json | undefined;
  readonly phase: string;
  readonly commandId: string;
  readonly offset: number;
}

interface History {
  readonly [field: string]: unknown;
  readonly entries: readonly Item[];
  readonly truncated: boolean;
  readonly nextCursor?: string;
}

interface Asked {
  readonly world: World;
  readonly client: Client;
}

let asked = 0;

async function ask({ world, client }: Asked, fields: object = {}): Promise<History> {
  const id = `history-${(asked += 1)}`;
  client.send({ type: 'get_command_history', id, ...fields });
  // A question that reads much takes many turns of the loop.
  for (let round = 0; round < 200 && client.response(id) === undefined; round += 1) await world.settle();
  const response = client.response(id);
  expect(response).toMatchObject({ success: true });
  return response!['data'] as History;
}

/** All pages, one behind the other in append order. */
async function askAll(on: Asked, fields: { direction?: string; [field: string]: unknown }): Promise<Item[]> {
  let all: Item[] = [];
  for (let cursor: string | undefined, page = 0; page < 1_000; page += 1) {
    const { entries, nextCursor } = await ask(on, { ...fields, ...(cursor !== undefined && { cursor }) });
    all = fields.direction === 'backward' ? [...entries, ...all] : [...all, ...entries];
    if (nextCursor === undefined) return all;
    cursor = nextCursor;
  }
  throw new Error('The pages do not end.');
}

const shortly = ({ commandId, phase }: Item): string => `${commandId} ${phase.replace('command_', '')}`;

/** Instant work, a turn, control, a refusal at the head, and commands of a session that is not there. */
async function busyScene(): Promise<Scene> {
  const scene = await createScene();
  const { send, prompt, engine, world } = scene;
  await send({
    type: 'set_session_name',
    id: 'n',
    sessionId: 's',
    name: 'x',
    ifSessionVersion: 0,
    idempotencyKey: 'k',
  });
  await prompt('p');
  await send(
    { type: 'set_session_name', id: 'late', sessionId: 's', name: 'y', dependsOn: ['p'] },
    { type: 'abort', id: 'lost', sessionId: 'nowhere' },
    { type: 'get_state', id: 'read', sessionId: 's' },
  );
  engine.turn.finish();
  await world.settle();
  await send({ type: 'abort', id: 'a', sessionId: 's' });
  return scene;
}

const ALL = [
  'create accepted, create started, create finished',
  'n accepted, n started, n finished',
  'p accepted, p started',
  'late accepted',
  'lost accepted, lost started, lost finished',
  'p finished',
  'late finished',
  'a accepted, a started, a finished',
]
  .join(', ')
  .split(', ');

describe('get_command_history shows', () => {
  it('every command with its phases in append order, and no read', async () => {
    const scene = await busyScene();
    const history = await ask(scene);
    expect(history.entries.map(shortly)).toEqual(ALL);
    expect(history).toMatchObject({
      enabled: true,
      journalPath: 'memory',
      schemaVersion: 1,
      filters: {},
      direction: 'forward',
      returned: ALL.length,
      maxItemsReturned: 100,
      maxItemsAllowed: 500,
      truncated: false,
    });
    expect(history).not.toHaveProperty('nextCursor');
    const offsets = history.entries.map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  });

  it("a command settled in one entry with the base's fields, in all three phases", async () => {
    const scene = await busyScene();
    const { entries } = await ask(scene, { commandId: 'n' });
    const common = {
      recordedAt: scene.world.clock.now(),
      commandId: 'n',
      commandType: 'set_session_name',
      laneKey: 'session:s',
      laneSequence: 2,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      explicitId: true,
      sessionId: 's',
      ifSessionVersion: 0,
      idempotencyKey: 'k',
      lane: 'work',
      offset: entries[0]!.offset,
    };
    expect(entries).toEqual([
      { ...common, phase: 'command_accepted' },
      { ...common, phase: 'command_started', attempt: 1 },
      { ...common, phase: 'command_finished', success: true, sessionVersion: 1 },
    ]);
  });

  it('who asked for what, also where a command started or ended in an entry of its own', async () => {
    const scene = await busyScene();
    const { entries } = await ask(scene, { commandId: 'late' });
    for (const entry of entries)
      expect(entry).toMatchObject({ commandType: 'set_session_name', lane: 'work', dependsOn: ['p'], sessionId: 's' });
    const turn = await ask(scene, { commandId: 'p' });
    expect(turn.entries).toHaveLength(3);
    expect(new Set(turn.entries.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect(turn.entries[1]).toMatchObject({ phase: 'command_started', attempt: 1, commandType: 'prompt' });
  });

  it('failures with code and text, and without data', async () => {
    const scene = await busyScene();
    const { entries } = await ask(scene, { outcome: 'failure' });
    expect(entries.map(shortly)).toEqual(['lost finished']);
    expect(entries[0]).toMatchObject({
      success: false,
      errorCode: 'SESSION_NOT_FOUND',
      error: 'Session nowhere not found',
      laneKey: 'server',
    });
    const created = await ask(scene, { commandId: 'create' });
    for (const entry of created.entries) expect(entry).not.toHaveProperty('data');
  });

  it('what a restart classified, with the reason', async () => {
    const scene = await busyScene();
    await scene.prompt('cut');
    const { store } = scene.world;
    store.owner = undefined;
    const world = createWorld({ store });
    await world.start();
    const on = { world, client: world.connect() };
    const { entries } = await ask(on, { commandId: 'cut', outcome: 'failure' });
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ errorCode: 'INTERRUPTED', recovered: true, recoveryReason: 'started' });
  });
});

describe('filters', () => {
  it.each<[string, object, string[]]>([
    ['a session, what is not there included', { sessionIdFilter: 'nowhere' }, ALL.filter((one) => /^lost/.test(one))],
    ['a session', { sessionIdFilter: 's' }, ALL.filter((one) => !/^lost/.test(one))],
    ['a command', { commandId: 'p' }, ['p accepted', 'p started', 'p finished']],
    ['a lane', { lane: 'control' }, ALL.filter((one) => /^(a|lost) /.test(one))],
    [
      'both',
      { lane: 'work', sessionIdFilter: 's', outcome: 'success' },
      ['create', 'n', 'p', 'late'].map((id) => `${id} finished`),
    ],
    ['nobody', { commandId: 'nobody' }, []],
  ])('take %s alone', async (_what, filter, expected) => {
    const scene = await busyScene();
    for (const direction of ['forward', 'backward'])
      expect((await ask(scene, { ...filter, direction })).entries.map(shortly)).toEqual(expected);
    expect((await ask(scene, filter))['filters']).toEqual(filter);
  });

  it('take times, both ends included', async () => {
    const scene = await createScene();
    const { world, send } = scene;
    const times: number[] = [];
    for (const id of ['t0', 't1', 't2']) {
      await world.advance(10);
      times.push(world.clock.now());
      await send({ type: 'set_session_name', id, sessionId: 's', name: id });
    }
    const idsOf = async (fields: object): Promise<string[]> =>
      (await ask(scene, { ...fields, outcome: 'success' })).entries.map(({ commandId }) => commandId);
    expect(await idsOf({ fromTimestamp: times[1] })).toEqual(['t1', 't2']);
    expect(await idsOf({ toTimestamp: times[1] })).toEqual(['create', 't0', 't1']);
    expect(await idsOf({ fromTimestamp: times[1], toTimestamp: times[1] })).toEqual(['t1']);
  });

  it.each<[object, string]>([
    [{ limit: 0 }, 'limit: Must be between 1 and 500'],
    [{ limit: 501 }, 'limit: Must be between 1 and 500'],
    [{ limit: '5' }, 'limit: Must be an integer if provided'],
    [{ sessionIdFilter: ' ' }, 'sessionIdFilter: Must be a non-empty string if provided'],
    [{ commandId: 'x'.repeat(257) }, 'commandId: Too long (max 256 chars)'],
    [{ fromTimestamp: -1 }, 'fromTimestamp: Must be a non-negative integer timestamp'],
    [{ fromTimestamp: 2, toTimestamp: 1 }, 'fromTimestamp: Must be less than or equal to toTimestamp'],
    [{ direction: 'up' }, 'direction: Must be one of: forward, backward'],
    [{ cursor: 'x' }, 'cursor: Must be a nextCursor of an earlier answer'],
    [{ outcome: 'both' }, 'outcome: Must be one of: success, failure'],
  ])('refuse %j', async (fields, problem) => {
    const { send, response } = await createScene();
    await send({ type: 'get_command_history', id: 'x', ...fields });
    expect(response('x')).toMatchObject({ errorCode: 'VALIDATION_FAILED', error: `Validation failed: ${problem}` });
  });
});

describe('pages', () => {
  it.each([1, 2, 3, 4, 7, 500])('of %d hold every phase once, in both directions', async (limit) => {
    const scene = await busyScene();
    for (const direction of ['forward', 'backward'])
      expect((await askAll(scene, { direction, limit })).map(shortly)).toEqual(ALL);
  });

  it('are in append order backwards too, beginning at the end', async () => {
    const scene = await busyScene();
    const { entries, nextCursor } = await ask(scene, { direction: 'backward', limit: 4 });
    expect(entries.map(shortly)).toEqual(ALL.slice(-4));
    const turned = await ask(scene, { direction: 'forward', cursor: nextCursor, limit: 2 });
    expect(turned.entries.map(shortly)).toEqual(ALL.slice(-3, -1));
  });

  it('go on with what was added behind the last one', async () => {
    const scene = await busyScene();
    const { nextCursor } = await ask(scene, { limit: ALL.length - 1 });
    await scene.send({ type: 'set_session_name', id: 'more', sessionId: 's', name: 'z' });
    const { entries } = await ask(scene, { cursor: nextCursor });
    expect(entries.map(shortly)).toEqual([ALL.at(-1), 'more accepted', 'more started', 'more finished']);
  });
});

/** A long journal: mostly of one session, with another one's commands far apart. */
async function longJournal(): Promise<Asked & { readonly scans: () => number; readonly length: number }> {
  const inside = createMemoryJournal();
  await inside.open();
  const source = new EntrySource();
  const entries = Array.from({ length: 30_000 }, (_, index) => {
    const rare = index % 9_000 === 100;
    const lane = rare ? 'session:rare' : 'session:busy';
    return source.next(lane, {
      kind: 'command.settled',
      commandId: `c${index}`,
      commandType: 'set_session_name',
      explicitId: true,
      principal: 'local',
      mailbox: 'work',
      sessionId: rare ? 'rare' : 'busy',
      success: false,
      errorCode: 'INTERNAL_ERROR',
      content: { command: '{}', error: 'x' },
    });
  });
  await new Promise<void>((done) => inside.append(entries, () => done()));
  await inside.close();
  let read = 0;
  const journal = {
    durability: inside.durability,
    location: inside.location,
    open: () => inside.open(),
    append: inside.append.bind(inside),
    head: (lane: string) => inside.head(lane),
    read: (offset: number) => inside.read(offset),
    verify: (last: number) => inside.verify(last),
    ...derivedOf(inside),
    close: () => inside.close(),
    blank: (range: Parameters<typeof inside.blank>[0]) => inside.blank(range),
    backup: (at: number) => inside.backup(at),
    scan: async (range: Parameters<typeof inside.scan>[0]) => {
      const page = await inside.scan(range);
      read += page.length;
      return page;
    },
  };
  const world = createWorld({ journal });
  await world.start();
  const before = read;
  return { world, client: world.connect(), scans: () => read - before, length: entries.length };
}

describe('a long journal', () => {
  it('is read up to a bound: the answer says so and goes on from there', async () => {
    const on = await longJournal();
    for (const [direction, edge] of [
      ['forward', 'c29999'],
      ['backward', 'c0'],
    ] as const) {
      const before = on.scans();
      const first = await ask(on, { direction, commandId: edge });
      expect(first).toMatchObject({ truncated: true, returned: 0 });
      expect(on.scans() - before).toBeLessThan(21_000);
      const second = await ask(on, { direction, commandId: edge, cursor: first.nextCursor });
      expect(second).toMatchObject({ truncated: false, returned: 3 });
      expect(second).not.toHaveProperty('nextCursor');
    }
  });

  it('shows a session that is seldom in it without reading the others', async () => {
    const on = await longJournal();
    const ids = ['c100', 'c9100', 'c18100', 'c27100'];
    for (const direction of ['forward', 'backward']) {
      const before = on.scans();
      const all = await askAll(on, { direction, sessionIdFilter: 'rare', outcome: 'failure', limit: 3 });
      expect(all.map(({ commandId }) => commandId)).toEqual(ids);
      expect(on.scans() - before).toBeLessThan(500);
    }
  });

  it('gives the newest page of a busy session at the price of a page', async () => {
    const on = await longJournal();
    const before = on.scans();
    const { entries } = await ask(on, { direction: 'backward', sessionIdFilter: 'busy', limit: 30 });
    expect(entries.map(({ commandId }) => commandId).at(-1)).toBe('c29999');
    expect(on.scans() - before).toBeLessThan(1_000);
  });
});
