/**
 * Ten thousand sessions, whatever becomes of them: prompted, watched, crashed, deleted in the middle, by connections that come
 * and go, over cores that are given up and journals that fail. Afterwards everything is back at its baseline: what the server
 * counts itself, and the objects on the heap.
 */
import { queryObjects } from 'node:v8';
import { afterEach, expect, it, vi } from 'vitest';
import { Actor } from 'xstate';
import { Command } from '../../actors/command.ts';
import { Deduplication } from '../../actors/deduplication.ts';
import { Subscriptions } from '../../actors/subscriptions.ts';
import { sessionCommand } from '../../src/commands/command.ts';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { Client, createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

const ROUNDS = 100;
const WARM_UP_ROUNDS = 5;
const INSPECTED_ROUNDS = 4;
const SESSIONS_PER_ROUND = 100;
const CLIENTS_PER_ROUND = 10;
const KNOWN_MAX = 2_000;
/** What happens in which rounds; early, because after each the whole journal is folded. */
const TROUBLES = new Map<number, Trouble>([
  [1, 'core'],
  [2, 'disk'],
  [3, 'thread'],
  [6, 'thread'],
  [7, 'core'],
  [8, 'disk'],
]);
const EVERY_SCOPE = ['observe', 'drive', 'approve', 'exec', 'operate'] as const;

afterEach(() => void vi.restoreAllMocks());

const defect = (): never => {
  throw new Error('a planted defect');
};

/** Brings its session down the first time that it acts. */
function createPoison() {
  const tried = new Set<string>();
  return sessionCommand({
    type: 'poison',
    scope: 'drive',
    lane: 'control',
    activity: 'user',
    fields: envelopes.session,
    decide: (_frame, session) => {
      if (tried.delete(session.id)) return { do: 'settle', outcome: { success: true } };
      tried.add(session.id);
      return defect();
    },
  });
}

/**
 * Objects of the runtime that are still referred to. Each session, connection, turn and core has an actor, and to look for a
 * class takes a second.
 */
function census(): Record<string, number> {
  const classes = { Actor, Command };
  return Object.fromEntries(
    Object.entries(classes).map(([name, constructor]) => [name, queryObjects(constructor, { format: 'count' })]),
  );
}

/** What the server says of itself, and what it does not. */
function standing(world: World, subscriptions: Subscriptions) {
  const { known, ...live } = world.system.live;
  return {
    live,
    knownIsBounded: known <= KNOWN_MAX,
    clock: world.clock.pendingTimers,
    watched: subscriptions.sessionCount,
    lifecycle: subscriptions.lifecycle.size,
    sessionTopic: subscriptions.sessionTopic.size,
    objects: census(),
  };
}

/** The one that the system has; nothing of the search is left. */
function subscriptionsOf(world: World): Subscriptions {
  const leave = vi.spyOn(Subscriptions.prototype, 'leave');
  world.connect().leave();
  const [found] = leave.mock.contexts;
  leave.mockReset();
  leave.mockRestore();
  return found as Subscriptions;
}

type Keeper = ReturnType<typeof connectKeeper>;

type Trouble = 'core' | 'disk' | 'thread';

async function strike({ journal }: World, client: Client, trouble: Trouble): Promise<void> {
  if (trouble === 'core') {
    vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(defect);
    client.send({ type: 'ping', id: `strike ${Math.random()}` });
    vi.restoreAllMocks();
  } else if (trouble === 'disk') {
    journal.failNext(new Error('disk full'));
  } else {
    journal.die(new Error('the thread of the journal ended'));
  }
}

function engineOf(index: number): object {
  if (index % 10 === 0) return { engine: 'scripted', input: { turns: [[{ text: 'half' }, { hang: true }]] } };
  if (index % 10 === 1) return { engine: 'scripted', input: { turns: [[{ text: 'said' }, { throw: 'a bug' }]] } };
  return { input: { delayMs: index % 10 === 2 ? 10 : 0 } };
}

/** Nobody reads what it is sent: to parse the frames of ten thousand sessions for all who see them takes a minute. */
function connectDeaf({ system }: World): Client {
  const client = new Client();
  client.write = () => undefined;
  client.peer = system.connect(client, { id: 'local', scopes: EVERY_SCOPE }, 'test');
  return client;
}

/** Keeps the answers to its deletions. */
function connectKeeper(world: World): { readonly client: Client; readonly deleted: unknown[] } {
  const client = connectDeaf(world);
  const deleted: unknown[] = [];
  client.write = (text) => {
    if (text.includes('"command":"delete_session"')) deleted.push(JSON.parse(text));
  };
  return { client, deleted };
}

async function playRound(world: World, keeper: Keeper, round: number): Promise<void> {
  const clients = Array.from({ length: CLIENTS_PER_ROUND }, () => connectDeaf(world));
  const ids = Array.from({ length: SESSIONS_PER_ROUND }, (_, index) => `s-${round}-${index}`);
  const all = (frames: (id: string, index: number) => readonly object[]): void =>
    ids.forEach((id, index) => {
      for (const frame of frames(id, index)) clients[index % CLIENTS_PER_ROUND]!.send(frame);
    });
  all((sessionId, index) => [
    { type: 'create_session', id: `create ${sessionId}`, sessionId, ...engineOf(index) },
    { type: index % 2 === 0 ? 'attach_session' : 'switch_session', id: `attach ${sessionId}`, sessionId },
    { type: 'prompt', id: `prompt ${sessionId}`, sessionId, message: 'word', idempotencyKey: 'k' },
  ]);
  clients[1]!.send({ type: 'subscribe', topics: ['lifecycle'], scope: 'own' });
  clients[2]!.send({ type: 'unsubscribe', topics: ['lifecycle', 'sessions'] });
  await world.settle();
  all((sessionId, index) => [
    ...(index % 20 === 2 ? [{ type: 'attach_session', id: `back ${sessionId}`, sessionId, after: 'start' }] : []),
    ...(index % 4 === 0
      ? [
          { type: 'prompt', id: `next ${sessionId}`, sessionId, message: 'more' },
          { type: 'steer', id: `steer ${sessionId}`, sessionId, message: 'x', dependsOn: [`next ${sessionId}`] },
        ]
      : []),
    ...(index % 20 === 3 ? [{ type: 'poison', id: `poison ${sessionId}`, sessionId }] : []),
    ...(index % 4 === 1 ? [{ type: 'detach_session', sessionId }] : []),
  ]);
  const trouble = TROUBLES.get(round);
  if (trouble !== undefined) await strike(world, keeper.client, trouble);
  // Some leave in the middle of it.
  for (const client of clients.slice(0, 3)) client.leave();
  await world.advance(5);
  for (const client of clients.slice(3, 6)) client.leave();
  // Some delete in the middle of it, and take the name again.
  ids.slice(0, 20).forEach((sessionId) => {
    keeper.client.send({ type: 'delete_session', id: `early ${sessionId}`, sessionId });
    keeper.client.send({ type: 'create_session', id: `again ${sessionId}`, sessionId });
    keeper.client.send({ type: 'attach_session', id: `look ${sessionId}`, sessionId });
  });
  await world.advance(10_000);
  for (const id of ids) keeper.client.send({ type: 'delete_session', id: `delete ${id}`, sessionId: id });
  // What hangs is left to itself after a while.
  await world.advance(40_000);
  for (const client of clients.slice(6)) client.leave();
  await world.settle();
  const deleted = keeper.deleted.splice(0);
  expect(deleted).toHaveLength(ids.length + 20);
  expect(deleted.slice(20)).toEqual(ids.map(() => expect.objectContaining({ success: true })));
  world.observations.length = 0;
}

it('ten thousand sessions leave nothing behind', { timeout: 240_000 }, async () => {
  const world = createWorld({
    engines: [createEchoEngine(), createScriptedEngine()],
    commands: [createPoison()],
    limits: { idempotencyEntriesMax: KNOWN_MAX, idempotencyCacheBytesMax: 100_000, pendingMax: 10_000 },
  });
  await world.start();
  const keeper = connectKeeper(world);
  const subscriptions = subscriptionsOf(world);
  // What is made once and kept is there after the first of each kind.
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await playRound(world, keeper, round);
  const before = standing(world, subscriptions);
  expect(before).toMatchObject({
    live: { sessions: 0, mailboxes: 0, timers: 0, held: 0, connections: 1, viewers: 0, catchUps: 0 },
    watched: 0,
  });

  let shown = 0;
  const detach = world.system.inspect(() => (shown += 1));
  const inspected = WARM_UP_ROUNDS + INSPECTED_ROUNDS;
  for (let round = WARM_UP_ROUNDS; round < inspected; round += 1) await playRound(world, keeper, round);
  expect(shown).toBeGreaterThan(10_000);
  detach();
  shown = 0;
  for (let round = inspected; round < ROUNDS; round += 1) await playRound(world, keeper, round);
  expect(shown).toBe(0);
  expect(world.fatal).toEqual([]);
  expect(standing(world, subscriptions)).toEqual(before);
});
