/**
 * The processes of a benchmark: servers, each with its own, and the clients that put load on them.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Tasks } from './client.ts';
import type { LoopDelay, Probe } from './probed-server.ts';

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;

/** As `npm start` has it: the pauses of the collector grow with its young generation (docs/PERFORMANCE.md). */
const YOUNG_GENERATION = '--max-semi-space-size=8';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process until it listens. */
  readonly bootMs: number;
  stop(): Promise<void>;
  /** As a crash ends it. */
  kill(): Promise<void>;
}

/** The command as users run it: the build, with its journal and its options. */
export async function startServer(
  options: readonly string[],
  environment: object = {},
  nodeOptions: readonly string[] = [],
): Promise<ServerProcess> {
  const startedAt = performance.now();
  const main = path('../../dist/src/cli/main.js');
  const arguments_ = [
    YOUNG_GENERATION,
    ...nodeOptions,
    main,
    'serve',
    '--port',
    '0',
    '--log-level',
    'info',
    ...options,
  ];
  const child = spawn(process.execPath, arguments_, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { msg, port } = JSON.parse(line) as { msg: string; port: number };
      if (msg === 'listening') resolve(port);
    });
    child.once('exit', () => reject(new Error(`the server did not start: ${complaint.trim()}`)));
    setTimeout(() => reject(new Error('the server did not start in time')), START_MS_MAX).unref();
  });
  return serverProcess(child, port, startedAt);
}

function serverProcess(child: ChildProcess, port: number, startedAt: number): ServerProcess {
  return {
    port,
    pid: child.pid ?? 0,
    bootMs: performance.now() - startedAt,
    async kill() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await exited;
      clearTimeout(late);
    },
  };
}

export async function startEchoServer(): Promise<ServerProcess> {
  const startedAt = performance.now();
  const child = fork(path('echo-server.ts'));
  const { port } = await answerOf<{ port: number }>(child);
  return serverProcess(child, port, startedAt);
}

export interface ProbedServer extends ServerProcess {
  heapBytes(): Promise<number>;
  residentBytes(): Promise<number>;
  startWatchingDelay(): Promise<void>;
  loopDelay(): Promise<LoopDelay>;
}

export async function startProbedServer(config: object, environment: object = {}): Promise<ProbedServer> {
  const startedAt = performance.now();
  const child = fork(path('probed-server.ts'), [JSON.stringify(config)], {
    execArgv: ['--expose-gc', YOUNG_GENERATION],
    env: { ...process.env, ...environment },
  });
  const { port } = await answerOf<{ port: number }>(child);
  const ask = async <Answer>(probe: Probe): Promise<Answer> => {
    const answer = answerOf<Answer>(child);
    child.send(probe);
    return answer;
  };
  return {
    ...serverProcess(child, port, startedAt),
    heapBytes: async () => (await ask<{ heapBytes: number }>('heap')).heapBytes,
    residentBytes: async () => (await ask<{ residentBytes: number }>('heap')).residentBytes,
    startWatchingDelay: async () => ask('delay.start'),
    loopDelay: () => ask<LoopDelay>('delay.read'),
  };
}

/** The next message of a child. */
async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  const aborted = new AbortController();
  const ended = once(child, 'exit', { signal: aborted.signal }).then(([code, signal]) => {
    throw new Error(`a process of the bench ended with ${String(code ?? signal)}`);
  });
  const answered = once(child, 'message', { signal: aborted.signal }).then(([answer]) => answer as Answer);
  try {
    return await Promise.race([answered, ended]);
  } finally {
    aborted.abort();
    await Promise.allSettled([answered, ended]);
  }
}

/** A process that plays the clients. One thing at a time. */
export class ClientProcess {
  readonly #child: ChildProcess = fork(path('client.ts'));

  async run<Name extends keyof Tasks>(task: Name, options: Tasks[Name]['options']): Promise<Tasks[Name]['result']> {
    const answer = answerOf<{ result: Tasks[Name]['result'] } | { error: string }>(this.#child);
    this.#child.send({ task, options });
    const found = await answer;
    if ('error' in found) throw new Error(found.error);
    return found.result;
  }

  stop(): void {
    this.#child.disconnect();
  }
}
