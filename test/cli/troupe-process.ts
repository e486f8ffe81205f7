/** The real command as a child process, run from its sources, in a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: number };

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Troupe {
  readonly child: ChildProcess;
  readonly log: readonly LogLine[];
  stderr(): string;
  /** The first line with this message, also one that was there before. Rejects when the process ends without it. */
  line(msg: string): Promise<LogLine>;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Options of node itself. */
  readonly node?: readonly string[];
  /** The test writes to stdin and reads frames from stdout; the log is on stderr. */
  readonly stdio?: boolean;
}

/** A temporary working directory and every process started in it. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'troupe-cli-'));
  readonly #running = new Set<ChildProcess>();

  path(name: string): string {
    return join(this.folder, name);
  }

  get files(): string[] {
    return readdirSync(this.folder);
  }

  run(args: readonly string[], { env = {}, node = [], stdio = false }: RunOptions = {}): Troupe {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.startsWith('TROUPE_') && name !== 'NODE_OPTIONS',
    );
    const child = spawn(process.execPath, [...node, main, ...args], {
      cwd: this.folder,
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: [stdio ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    const { stdout: out, stderr: err } = child as { stdout: Readable; stderr: Readable };
    this.#running.add(child);
    let stdout = '';
    let stderr = '';
    let rest = '';
    const log: LogLine[] = [];
    const listeners = new Set<(line: LogLine) => void>();
    const takeLog = (chunk: string): void => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines.filter((each) => each.startsWith('{"level"'))) {
        const line = JSON.parse(text) as LogLine;
        log.push(line);
        for (const listener of listeners) listener(line);
      }
    };
    err.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      if (stdio) takeLog(chunk);
    });
    // Frames are for the test to take, or to leave.
    if (!stdio) {
      out.setEncoding('utf8').on('data', (chunk: string) => {
        stdout += chunk;
        takeLog(chunk);
      });
    }
    const ended = once(child, 'close').then(([code, signal]): Ended => {
      this.#running.delete(child);
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
    });

    const line = (msg: string): Promise<LogLine> =>
      new Promise((resolve, reject) => {
        const seen = log.find((each) => each.msg === msg);
        if (seen !== undefined) return resolve(seen);
        listeners.add((each) => {
          if (each.msg === msg) resolve(each);
        });
        void ended.then(() => reject(new Error(`The process ended without the line "${msg}": ${stdout}${stderr}`)));
      });

    return { child, log, stderr: () => stderr, line, ended };
  }

  /** Runs a command to its end. */
  end(args: readonly string[], options?: RunOptions): Promise<Ended> {
    return this.run(args, options).ended;
  }

  async clear(): Promise<void> {
    for (const child of this.#running) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
