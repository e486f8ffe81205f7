/**
 * `npm run bench`: measures the build against yardsticks of the same run, prints a table and writes docs/BENCHMARKS.md.
 *
 *   --quick        a smoke run of some seconds; prints the table and writes nothing
 *   --rounds N     default 5
 *   --dir DIR      where the data directories are made; default: in the checkout
 *   --no-build     measures the build as it is
 *
 * Everything is measured in turn, round by round, so that a machine that slows down for a while slows down all rows alike.
 */
import { execSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { syncedAppends } from './disk.ts';
import { environmentOf } from './environment.ts';
import { ClientProcess, startEchoServer, startServer, type ServerProcess } from './processes.ts';
import { watchOthers } from './others.ts';
import { createProgress } from './progress.ts';
import { markdownPage, terminalTable } from './report.ts';
import { problemsOf, rowsOf, notesOf, type Round, type Single } from './rows.ts';
import { measureMany } from './many.ts';
import { measureReplay } from './replay.ts';
import { measureBoot, measureCatchUp, measureHeap, measureLoopDelay, measureStorm } from './single.ts';
import type { LoadResult } from './load.ts';
import type { PingPongResult } from './ping-pong.ts';
import {
  createSession,
  echo,
  getState,
  OWN_LIFECYCLE,
  prompt,
  sessionIds,
  setSessionName,
  SHAPE,
  type Commands,
} from './workload.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    dir: { type: 'string', default: join(root, 'node_modules/.cache') },
    'no-build': { type: 'boolean', default: false },
  },
});
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 1 : 5));
const scale = quick ? 0.25 : 1;
/** First windows of a server, until its code is compiled. */
const FIRST_WARMUP_MS = 1_500 * scale;
/** Sessions that no load writes to. */
const IDLE_PREFIX = 'idle';
const IDLE_SESSION = `${IDLE_PREFIX}-0`;

const progress = createProgress();
if (!options['no-build']) {
  progress('building');
  // The compiler complains on stdout, where the table is expected.
  execSync('npm run --silent build', { cwd: root, stdio: ['ignore', process.stderr, process.stderr] });
}

mkdirSync(options.dir, { recursive: true });
const dir = mkdtempSync(join(options.dir, 'bench-'));
const client = new ClientProcess();
const probers = [new ClientProcess(), new ClientProcess()] as const;
const servers: ServerProcess[] = [];
let nextNumber = 1;

async function started(server: Promise<ServerProcess>): Promise<ServerProcess> {
  servers.push(await server);
  return server;
}

interface LoadPlan extends Commands {
  readonly prologue?: readonly string[];
  readonly warmupMs?: number;
  readonly windowMs?: number;
  readonly count?: number;
}

async function load(server: ServerProcess, plan: LoadPlan): Promise<LoadResult> {
  const result = await client.run('load', {
    ...SHAPE,
    port: server.port,
    serverPid: server.pid,
    firstNumber: nextNumber,
    prologue: [],
    warmupMs: 300 * scale,
    windowMs: 1_200 * scale,
    ...plan,
  });
  nextNumber += result.sent;
  return result;
}

interface PingPongPlan extends Commands {
  readonly windowMs: number;
  readonly warmupMs?: number;
  readonly pauseMs?: number;
}

/** Beside a load, numbers are drawn far from its own. */
async function pingPong(
  server: ServerProcess,
  { commands, expected, ...plan }: PingPongPlan,
  by = client,
): Promise<PingPongResult> {
  const beside = by === client ? -1 : probers.indexOf(by);
  const firstNumber = nextNumber + (beside + 1) * 400_000_000;
  const result = await by.run('pingPong', {
    port: server.port,
    command: commands[0] ?? '',
    expected,
    firstNumber,
    prologue: OWN_LIFECYCLE,
    warmupMs: 100 * scale,
    ...plan,
  });
  nextNumber += result.sent;
  return result;
}

async function measureRounds(): Promise<Round[]> {
  const sessions = sessionIds('s');
  const names = setSessionName(sessions);
  const echoServer = await started(startEchoServer());
  const durable = await started(startServer(['--data-dir', join(dir, 'durable')]));
  const memory = await started(
    startServer(['--data-dir', join(dir, 'memory')], {
      TROUPE_JOURNAL_KIND: 'memory',
      TROUPE_JOURNAL_ACCEPT_VOLATILE: 'true',
    }),
  );
  const own = { ...names, prologue: OWN_LIFECYCLE };
  for (const server of [durable, memory]) {
    await load(server, { ...createSession(sessions), count: sessions.length });
    await load(server, { ...createSession(sessionIds(IDLE_PREFIX, SHAPE.connections)), count: SHAPE.connections });
    await load(server, { ...own, warmupMs: FIRST_WARMUP_MS, windowMs: 1 });
  }
  await load(echoServer, { ...echo(sessions), warmupMs: FIRST_WARMUP_MS, windowMs: 1 });

  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const now = (what: string): void => progress(`round ${round} of ${rounds}: ${what}`);
    now('sync');
    const sync = syncedAppends(dir, 600 * scale);
    now('echo');
    const echoed = await load(echoServer, echo(sessions));
    now('durable');
    const window = { warmupMs: 400 * scale, windowMs: 1_800 * scale };
    // What is read of a session that the load writes to waits until that is durable; of another one it does not.
    const readOf = (session: string): PingPongPlan => ({ ...getState([session]), ...window, pauseMs: 4 });
    const [durableOwn, readOfWritten, readOfOther] = await Promise.all([
      load(durable, { ...own, ...window }),
      pingPong(durable, readOf(sessions[0]!), probers[0]),
      pingPong(durable, readOf(IDLE_SESSION), probers[1]),
    ]);
    now('durable, broadcast');
    const durableBroadcast = await load(durable, names);
    now('memory');
    const memoryOwn = await load(memory, own);
    now('prompts');
    const prompted = sessionIds(`p${round}`);
    await load(durable, { ...createSession(prompted), count: prompted.length });
    const prompts = await load(durable, { ...prompt(prompted), prologue: OWN_LIFECYCLE });
    now('ping-pong');
    const pingName = await pingPong(durable, { ...setSessionName(sessions.slice(0, 1)), windowMs: 1_200 * scale });
    const pingState = await pingPong(durable, { ...getState(sessions.slice(0, 1)), windowMs: 500 * scale });
    now('turns');
    const turns = await client.run('turns', {
      port: durable.port,
      sessions: sessions.length,
      name: `t${round}`,
      windowMs: 1_500 * scale,
    });
    measured.push({
      sync,
      echo: echoed,
      durableOwn,
      readOfWritten,
      readOfOther,
      durableBroadcast,
      memoryOwn,
      prompts,
      pingName,
      pingState,
      turns,
    });
  }
  return measured;
}

async function measureSingle(): Promise<Single> {
  const bench = { client, prober: probers[0], dir, scale, numbers: (count: number) => (nextNumber += count) - count };
  progress('loop delay on a slow disk');
  const loopDelay = await measureLoopDelay(bench);
  progress('heap of idle sessions');
  const heap = await measureHeap(bench);
  progress('boot');
  const boot = await measureBoot(bench, heap);
  progress('coming back');
  const catchUp = await measureCatchUp(bench);
  progress('replay');
  const replay = await measureReplay(bench);
  progress('a hundred thousand sessions');
  const many = await measureMany(bench);
  progress('hostile clients');
  const storm = await measureStorm(bench);
  return { loopDelay, heap, boot, many, replay, storm, catchUp };
}

const othersShare = watchOthers();
try {
  const measured = await measureRounds();
  for (const server of servers.splice(0)) await server.stop();
  const single = await measureSingle();
  const rows = rowsOf(measured, single);
  const notes = notesOf(measured, single, othersShare());
  progress();
  console.log(`${terminalTable(rows)}\n\n${notes.join('\n')}`);
  if (!quick) {
    const page = markdownPage(rows, notes, environmentOf(root, dir, rounds));
    writeFileSync(join(root, 'docs/BENCHMARKS.md'), page);
    console.log('\nwritten to docs/BENCHMARKS.md');
  }
  const problems = problemsOf(measured, single);
  for (const problem of problems) console.error(`the protocol was broken: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  progress();
  client.stop();
  for (const prober of probers) prober.stop();
  for (const server of servers) await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
