/**
 * A server with a hundred thousand sessions: what making and ending one costs beside few and beside many, what one takes that is
 * not in memory, and how long a boot takes that finds them all, after a stop and after kill -9.
 */
import { join } from 'node:path';
import { sleep } from './load.ts';
import { startProbedServer, startServer } from './processes.ts';
import { sendAll } from './single.ts';
import type { Bench } from './single.ts';
import { createSession, deleteSession, sessionIds } from './workload.ts';

export interface ManyResult {
  readonly few: number;
  readonly many: number;
  /** Microseconds for making one and ending it. */
  readonly usBesideFew: number;
  readonly usBesideMany: number;
  readonly bytesPerPassive: number;
  readonly bootMs: number;
  readonly bootAfterKillMs: number;
}

const FEW = 1_000;
const MANY = 100_000;
/** Made and ended to see what it costs. */
const PASSING = 2_000;
const IDLE_MS = 4_000;
/** Until the last of them was found idle, and its slice was swept. */
const SWEPT_MS = 3 * IDLE_MS;

export async function measureMany(bench: Bench): Promise<ManyResult> {
  const dataDir = join(bench.dir, 'a-hundred-thousand');
  const limits = { sessionsMax: 2 * MANY };
  const server = await startProbedServer({ port: 0, dataDir, limits, passivation: { idleMs: IDLE_MS } });
  let rounds = 0;
  const pass = async (): Promise<number> => {
    const ids = sessionIds(`p${(rounds += 1)}`, PASSING);
    const made = await sendAll(bench, server, createSession(ids), PASSING);
    const ended = await sendAll(bench, server, deleteSession(ids), PASSING);
    return 1e6 / made.perSecond + 1e6 / ended.perSecond;
  };
  try {
    // The first ones are slower: the code is compiled.
    await pass();
    await sleep(SWEPT_MS);
    const before = await server.heapBytes();
    await sendAll(bench, server, createSession(sessionIds('few', FEW)), FEW);
    const usBesideFew = await pass();
    await sendAll(bench, server, createSession(sessionIds('many', MANY - FEW)), MANY - FEW);
    await sleep(SWEPT_MS);
    const usBesideMany = await pass();
    await sleep(SWEPT_MS);
    // Ids of commands are remembered as well: they are not the sessions'.
    const bytesPerPassive = ((await server.heapBytes()) - before) / MANY;
    await server.stop();
    const after = await startServer(['--data-dir', dataDir]);
    await after.kill();
    const killed = await startServer(['--data-dir', dataDir]);
    await killed.stop();
    const boots = { bootMs: after.bootMs, bootAfterKillMs: killed.bootMs };
    return { few: FEW, many: MANY, usBesideFew, usBesideMany, bytesPerPassive, ...boots };
  } finally {
    await server.stop();
  }
}
