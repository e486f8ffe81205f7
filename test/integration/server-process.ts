/**
 * A real server in a process of its own, over a data directory that outlives it. Everything that a test starts or makes
 * here is gone when the test has ended, however it ended. Nothing waits for time: only for lines and for ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { ConfigInput } from '../../src/config.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Sources are compiled once and not at each of the many starts: that halves them. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url));

export interface ServerOptions {
  readonly config?: ConfigInput;
  /** Largest size of any file that the process may write, in KiB: what a full disk is for a journal. It can be raised later. */
  readonly fileKibMax?: number;
  /** File modes hold for it, whoever runs the test: for root they do not by themselves. */
  readonly obeysModes?: boolean;
}

export interface LogLine {
  readonly msg: string;
  readonly level: number;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A folder of the test's own; with `from`, a copy of another one as it is now. */
export function temporaryFolder(from?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  if (from !== undefined) cpSync(from, folder, { recursive: true });
  return folder;
}

export class ServerProcess {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  #rest = '';
  readonly #waiting = new Set<{ msg: string; resolve: (line: LogLine) => void }>();

  constructor(dataDir: string, { config, fileKibMax, obeysModes = false }: ServerOptions = {}) {
    const args = [MAIN, 'serve', '--port', '0', '--data-dir', dataDir];
    if (config !== undefined) {
      const file = join(temporaryFolder(), 'troupe.json');
      writeFileSync(file, JSON.stringify(config));
      args.push('--config', file);
    }
    const limited = fileKibMax === undefined ? [] : ['bash', '-c', `ulimit -S -f ${fileKibMax} && exec "$0" "$@"`];
    const [command, ...rest] = [...(obeysModes ? withoutPrivilege() : []), ...limited, process.execPath, ...args];
    const kept = Object.entries(process.env).filter(([name]) => !/^(TROUPE_|NODE_OPTIONS$|VITEST)/.test(name));
    const env = { ...Object.fromEntries(kept), NODE_COMPILE_CACHE };
    this.child = spawn(command!, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => this.#hear(chunk));
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.exited;
    });
  }

  /** The first line with this message. Rejects when the process ends without it. */
  line(msg: string): Promise<LogLine> {
    const seen = this.log.find((line) => line.msg === msg);
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve, reject) => {
      this.#waiting.add({ msg, resolve });
      void this.exited.then(() => reject(new Error(`it ended without "${msg}": ${this.stdout}${this.stderr}`)));
    });
  }

  /** Where clients connect, once it listens. */
  async url(): Promise<string> {
    return String((await this.line('listening'))['url']).replace(/^http/, 'ws');
  }

  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }

  #hear(chunk: string): void {
    this.stdout += chunk;
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const text of lines) {
      const line = JSON.parse(text) as LogLine;
      this.log.push(line);
      for (const waiting of this.#waiting) if (waiting.msg === line.msg) waiting.resolve(line);
    }
  }
}

/** Root stays root and loses the right to pass over the modes of files. */
function withoutPrivilege(): string[] {
  return process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : [];
}

/** A server that listens. */
export async function startServer(dataDir: string, options?: ServerOptions): Promise<ServerProcess> {
  const server = new ServerProcess(dataDir, options);
  await server.line('listening');
  return server;
}
