/**
 * The real server over a real journal, looked at: every actor that runs in it shows in the inspection stream with its chart,
 * its place in the supervision tree and the kind of state that it holds.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { AnyActorLogic, AnyActorRef } from 'xstate';
import type { Inspector } from '../../actors/host.ts';
import { routerLogic } from '../../actors/router.ts';
import { supervisionTree } from '../../actors/supervision-tree.ts';
import type { ChildSpec } from '../../actors/supervision-tree.ts';
import { checkConfig } from '../../src/config.ts';
import { createServer } from '../../src/server.ts';
import type { Server } from '../../src/server.ts';
import { Client } from './client.ts';
import { temporaryFolder } from './server-process.ts';

const HOUR_MS = 3_600_000;

function create(): Server {
  // Within its threshold from the start, a session has the child that watches its end.
  const ttl = { baseMs: HOUR_MS, thresholdMs: HOUR_MS, extensionsMax: 0 };
  const checked = checkConfig({ port: 0, dataDir: temporaryFolder(), timeouts: { drainMs: 100 }, session: { ttl } });
  if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
  const server = createServer(checked.config);
  onTestFinished(() => server.stop());
  return server;
}

interface Row {
  /** Of the chart that runs, not of the place: the two are compared. */
  readonly machine: string;
  readonly supervisor: string | undefined;
  readonly restart: string;
  readonly state: string;
}

/** Writes down each actor that it is told of, and what is wrong with what it is told. */
function createRecord() {
  const table: Record<string, Row> = {};
  const problems: string[] = [];
  const known = new Set<unknown>();
  const inspector: Inspector = (event, place) => {
    const actorRef = event.actorRef as AnyActorRef & { readonly logic: AnyActorLogic };
    const { id, logic } = actorRef;
    if (event.type !== '@xstate.actor') {
      if (!known.has(actorRef)) problems.push(`${id} acts, and nobody has heard of it`);
      return;
    }
    if (known.has(actorRef)) problems.push(`${id} is introduced twice`);
    known.add(actorRef);
    if (place === undefined) {
      problems.push(`${id} has no place in the supervision tree`);
      return;
    }
    const machine = 'id' in logic ? String(logic['id']) : logic === routerLogic ? 'router' : 'unknown';
    if (machine !== place.machine) problems.push(`${id} runs ${machine}, and its place says ${place.machine}`);
    const { supervisor, restart, state } = place;
    table[id] = { machine, supervisor, restart, state };
  };
  return { inspector, table, problems };
}

const row = (machine: string, supervisor: string | undefined, restart: string, state: string): Row => ({
  machine,
  supervisor,
  restart,
  state,
});

/** Here from the start of the process to its end. */
const LASTING = {
  root: row('supervision', undefined, 'permanent', 'volatile'),
  journal: row('journal', 'root', 'permanent', 'durable'),
  directory: row('router', 'root', 'permanent', 'rebuildable'),
  transports: row('supervision', 'root', 'permanent', 'volatile'),
  server: row('server', 'transports', 'temporary', 'volatile'),
  sessions: row('supervision', 'root', 'permanent', 'volatile'),
  upkeep: row('supervision', 'root', 'permanent', 'volatile'),
};

/** Once commands are taken. */
const LIVE = { housekeeping: row('housekeeping', 'upkeep', 'permanent', 'volatile') };

const RECOVERY = { recovery: row('recovery', 'root', 'temporary', 'rebuildable') };

/** While a client is connected and a turn of its session runs. */
const AT_WORK = {
  'connection:1': row('connection', 'transports', 'temporary', 'volatile'),
  'heartbeat:1': row('heartbeat', 'transports', 'temporary', 'volatile'),
  'session:demo': row('session', 'sessions', 'transient', 'durable'),
  lane: row('lane', 'sessions', 'temporary', 'rebuildable'),
  turn: row('turn', 'sessions', 'temporary', 'durable'),
  command: row('command', 'sessions', 'temporary', 'durable'),
  lease: row('lease', 'sessions', 'temporary', 'durable'),
};

/** A client with a session whose turn speaks at once, and then not for a long time. */
async function startTurn(server: Server): Promise<Client> {
  const { listening } = await server.start();
  const client = new Client(listening!.url);
  await client.until(({ type }) => type === 'startup_recovery_summary');
  await client.ask(
    {
      type: 'create_session',
      sessionId: 'demo',
      engine: 'scripted',
      input: { turns: [[{ text: 'hm' }, { hang: true }]] },
    },
    { type: 'attach_session', sessionId: 'demo' },
  );
  client.send({ type: 'prompt', id: 'p', sessionId: 'demo', message: 'hello' });
  await client.until(({ event }) => event?.type === 'message_end');
  return client;
}

const idsOf = (spec: ChildSpec): string[] => [spec.id, ...(spec.children ?? []).flatMap(idsOf)];

describe('an inspector of the real server', () => {
  it('that is there from the start is told of every actor, of its chart, its supervisor and its state', async () => {
    const server = create();
    const { inspector, table, problems } = createRecord();
    server.inspect(inspector);
    const client = await startTurn(server);
    await client.ask({ type: 'abort', sessionId: 'demo' });
    await client.response('p');
    expect(problems).toEqual([]);
    expect(table).toEqual({ ...LASTING, ...RECOVERY, ...LIVE, ...AT_WORK });
    const kinds = Object.keys(table).map((id) => id.split(':')[0]!);
    expect(kinds.sort(), 'no kind of the tree is missing here').toEqual(idsOf(supervisionTree).sort());
  });

  it('that comes late is told of those that run, the children of a session in the middle of its turn included', async () => {
    const server = create();
    await startTurn(server);
    const { inspector, table, problems } = createRecord();
    server.inspect(inspector);
    expect(problems).toEqual([]);
    expect(table).toEqual({ ...LASTING, ...LIVE, ...AT_WORK });
  });

  it('that goes hears nothing any more', async () => {
    const server = create();
    let heard = 0;
    const leave = server.inspect(() => (heard += 1));
    const before = heard;
    leave();
    await startTurn(server);
    expect([before, heard]).toEqual([Object.keys({ ...LASTING, ...RECOVERY }).length, before]);
  });
});
