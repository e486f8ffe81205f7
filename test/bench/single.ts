/**
 * What is measured once, on a server of its own: the event loop beside a slow disk, the heap of idle sessions, a boot.
 */
import { join } from 'node:path';
import type { CatchUpResult } from './catch-up.ts';
import { slowDisk } from './disk.ts';
import { sleep, type LoadResult } from './load.ts';
import { startProbedServer, startServer, type ClientProcess, type ServerProcess } from './processes.ts';
import type { LoopDelay } from './probed-server.ts';
import { median, type Latency } from './statistics.ts';
import type { StormResult } from './storm.ts';
import { createSession, OWN_LIFECYCLE, sessionIds, setSessionName, SHAPE, type Commands } from './workload.ts';

export interface Bench {
  readonly client: ClientProcess;
  /** Beside the other client. */
  readonly prober: ClientProcess;
  readonly dir: string;
  readonly scale: number;
  /** Draws so many command numbers. @returns the first. */
  numbers(count: number): number;
}

/** A row that could not be measured, and why. */
export interface Missing {
  readonly missing: string;
}

export interface LoopDelayResult extends LoopDelay {
  readonly load: LoadResult;
}

export interface HeapResult {
  readonly sessions: number;
  readonly bytesPerSession: number;
  readonly load: LoadResult;
}

export interface StormFigures {
  /** Of a new client, from connecting to its first answer, while the storm goes on. */
  readonly newcomer: Latency;
  /** Resident memory after a storm, to that before it. */
  readonly residentRatio: number;
  readonly residentBytes: number;
  readonly done: StormResult;
}

/** Of clients that attach from the start of a session with many events. */
export interface CatchUpFigures {
  readonly events: number;
  /** One after the other. */
  readonly alone: CatchUpResult;
  /** All at once, while the heap is looked at. */
  readonly together: CatchUpResult;
  readonly clients: number;
  /** The most that was live on the heap beside what was there before, for each of those. */
  readonly heapBytesPerClient: number;
}

export interface BootResult {
  readonly sessions: number;
  readonly entries: number;
  readonly ms: number;
  readonly emptyMs: number;
}

export const COMMANDS_PER_SECOND = 5_000;
export const ADDED_DISK_MS = 4;
const SESSIONS_ON_HEAP = 10_000;
const ENTRIES_AT_BOOT = 100_000;
const BOOTS = 3;
const EVENTS_MISSED = 10_000;
const COMEBACKS = 10;
const COMEBACKS_AT_ONCE = 5;
const LOOK_MS = 200;
/** Until timers and buffers of the load are gone. */
const QUIET_MS = 500;
/** Until those who did not answer a close frame are gone. */
const STORM_OVER_MS = 4_000;

export async function sendAll(
  bench: Bench,
  server: ServerProcess,
  commands: Commands,
  count: number,
  connections: number = SHAPE.connections,
): Promise<LoadResult> {
  return bench.client.run('load', {
    ...SHAPE,
    ...commands,
    connections,
    port: server.port,
    serverPid: server.pid,
    firstNumber: bench.numbers(count),
    prologue: OWN_LIFECYCLE,
    warmupMs: 0,
    windowMs: 0,
    count,
  });
}

export async function measureLoopDelay(bench: Bench): Promise<LoopDelayResult | Missing> {
  const disk = slowDisk(bench.dir, ADDED_DISK_MS);
  if ('missing' in disk) return disk;
  const dataDir = join(bench.dir, 'slow');
  const server = await startProbedServer({ port: 0, dataDir }, disk.environment);
  try {
    const sessions = sessionIds('d');
    await sendAll(bench, server, createSession(sessions), sessions.length);
    const run = (windowMs: number): Promise<LoadResult> =>
      bench.client.run('load', {
        ...SHAPE,
        ...setSessionName(sessions),
        port: server.port,
        serverPid: server.pid,
        firstNumber: bench.numbers(COMMANDS_PER_SECOND * 60),
        prologue: OWN_LIFECYCLE,
        warmupMs: 0,
        windowMs,
        rate: COMMANDS_PER_SECOND,
      });
    await run(2_000 * bench.scale);
    await server.startWatchingDelay();
    const load = await run(5_000 * bench.scale);
    return { ...(await server.loopDelay()), load };
  } finally {
    await server.stop();
  }
}

export async function measureHeap(bench: Bench): Promise<HeapResult> {
  const server = await startProbedServer({ port: 0, dataDir: join(bench.dir, 'many') });
  try {
    const before = await server.heapBytes();
    const load = await sendAll(bench, server, createSession(sessionIds('m', SESSIONS_ON_HEAP)), SESSIONS_ON_HEAP);
    await sleep(QUIET_MS);
    const after = await server.heapBytes();
    return { sessions: SESSIONS_ON_HEAP, bytesPerSession: (after - before) / SESSIONS_ON_HEAP, load };
  } finally {
    await server.stop();
  }
}

/** A client that comes back to ten thousand events; then so many of them that a heap that grows with what was missed shows. */
export async function measureCatchUp(bench: Bench): Promise<CatchUpFigures> {
  const server = await startProbedServer({ port: 0, dataDir: join(bench.dir, 'missed') });
  const { port } = server;
  const sessions = sessionIds('u', 1);
  const [sessionId] = sessions as [string];
  const events = EVENTS_MISSED;
  try {
    // By one connection: a mailbox takes no more at once.
    await sendAll(bench, server, createSession(sessions), 1, 1);
    await sendAll(bench, server, setSessionName(sessions), events, 1);
    const clients = Math.max(3, COMEBACKS * bench.scale);
    const plan = { port, sessionId, events };
    const alone = await bench.client.run('catchUp', { ...plan, clients, atOnce: false });
    const before = await server.heapBytes();
    let most = before;
    const crowd = bench.client.run('catchUp', { ...plan, clients: COMEBACKS_AT_ONCE, atOnce: true });
    // To look takes longer than a page: more often, and nobody would come back.
    const over = crowd.then(() => true);
    while (!(await Promise.race([over, sleep(LOOK_MS).then(() => false)]))) {
      most = Math.max(most, await server.heapBytes());
    }
    const heapBytesPerClient = (most - before) / COMEBACKS_AT_ONCE;
    return { events, alone, together: await crowd, clients: COMEBACKS_AT_ONCE, heapBytesPerClient };
  } finally {
    await server.stop();
  }
}

/** The first storm is what fills the allocator's pools; the second one has to leave the memory as the first did. */
export async function measureStorm(bench: Bench): Promise<StormFigures> {
  const server = await startProbedServer({ port: 0, dataDir: join(bench.dir, 'storm') });
  const { port } = server;
  try {
    const windowMs = 10_000 * bench.scale;
    await bench.client.run('storm', { port, windowMs, seed: 1 });
    await sleep(STORM_OVER_MS);
    const before = await server.residentBytes();
    const [done, { latency }] = await Promise.all([
      bench.client.run('storm', { port, windowMs, seed: 2 }),
      bench.prober.run('newcomer', { port, windowMs }),
    ]);
    await sleep(STORM_OVER_MS);
    const residentBytes = await server.residentBytes();
    return { newcomer: latency, residentRatio: residentBytes / before, residentBytes, done };
  } finally {
    await server.stop();
  }
}

/** Boots on the data directory that `measureHeap` left, filled up with entries. */
export async function measureBoot(bench: Bench, { sessions }: HeapResult): Promise<BootResult> {
  const options = ['--data-dir', join(bench.dir, 'many')];
  const filling = await startServer(options);
  try {
    const names = setSessionName(sessionIds('m', sessions));
    await sendAll(bench, filling, names, ENTRIES_AT_BOOT - sessions);
  } finally {
    await filling.stop();
  }
  const boot = async (dataDir: readonly string[]): Promise<number> => {
    const server = await startServer(dataDir);
    await server.stop();
    return server.bootMs;
  };
  const full: number[] = [];
  const empty: number[] = [];
  for (let index = 0; index < BOOTS; index += 1) {
    full.push(await boot(options));
    empty.push(await boot(['--data-dir', join(bench.dir, `empty-${index}`)]));
  }
  return { sessions, entries: ENTRIES_AT_BOOT, ms: median(full), emptyMs: median(empty) };
}
