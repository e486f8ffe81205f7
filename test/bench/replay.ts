/**
 * Replay: a session with many entries, folded from the file of a server that has stopped. Once of commands that are settled in
 * one step, once of turns.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from './processes.ts';
import type { ReplayPass } from './replaying.ts';
import { sendAll } from './single.ts';
import type { Bench } from './single.ts';
import { median } from './statistics.ts';
import { createSession, prompt, sessionIds, setSessionName } from './workload.ts';
import type { Commands } from './workload.ts';

export interface ReplayResult {
  readonly entries: number;
  /** Of processor time, for each entry: median of the passes, and of the first one, in which the code is not compiled yet. */
  readonly micros: number;
  readonly firstMicros: number;
  /** On the clock. */
  readonly perSecond: number;
}

export interface ReplayFigures {
  readonly instant: ReplayResult;
  readonly turns: ReplayResult;
}

const INSTANT = 200_000;
const PROMPTS = 12_000;
const PASSES = 7;

export async function measureReplay(bench: Bench): Promise<ReplayFigures> {
  return {
    instant: await measure(bench, 'instant', setSessionName, INSTANT * bench.scale),
    turns: await measure(bench, 'prompts', prompt, PROMPTS * bench.scale),
  };
}

async function measure(
  bench: Bench,
  name: string,
  commands: (sessions: readonly string[]) => Commands,
  count: number,
): Promise<ReplayResult> {
  const dataDir = join(bench.dir, `replayed-${name}`);
  const sessions = sessionIds(name, 1);
  const server = await startServer(['--data-dir', dataDir]);
  try {
    await sendAll(bench, server, createSession(sessions), 1, 1);
    await sendAll(bench, server, commands(sessions), count, 1);
  } finally {
    await server.stop();
  }
  const passes = await replayed([dataDir, sessions[0]!, String(PASSES)]);
  const micros = passes.map((pass) => pass.micros / pass.entries);
  return {
    entries: passes[0]!.entries,
    micros: median(micros),
    firstMicros: micros[0]!,
    perSecond: median(passes.map(({ entries, ms }) => (1_000 * entries) / ms)),
  };
}

async function replayed(arguments_: readonly string[]): Promise<readonly ReplayPass[]> {
  const child = fork(fileURLToPath(new URL('replaying.ts', import.meta.url)), arguments_);
  const ended = once(child, 'exit');
  let passes: readonly ReplayPass[] | undefined;
  child.once('message', (found) => (passes = found as readonly ReplayPass[]));
  const [code] = (await ended) as [number | null];
  if (passes === undefined) throw new Error(`the process that replays ended with ${String(code)}`);
  return passes;
}
