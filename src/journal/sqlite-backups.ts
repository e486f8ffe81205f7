/** Backups beside a server: one at a time, each in a process of its own. State: volatile. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BackupFailed } from '../../actors/ports.ts';
import type { JournalBackup } from '../../actors/ports.ts';
import type { BackupOrder } from './backup-directory.ts';
import type { BackupAnswer } from './sqlite-backup-process.ts';

const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const PROCESS = fileURLToPath(new URL(`./sqlite-backup-process${ENDING}`, import.meta.url));

export class Backups {
  #child: ChildProcess | undefined;

  /** @throws BackupFailed */
  async make(order: BackupOrder): Promise<JournalBackup> {
    if (this.#child !== undefined) throw new BackupFailed('another backup is being made');
    // Options that this process was started with (a debugger's port) are not for another one.
    const child = fork(PROCESS, [JSON.stringify(order)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child = child;
    try {
      return await answerOf(child);
    } finally {
      this.#child = undefined;
    }
  }

  get busy(): boolean {
    return this.#child !== undefined;
  }

  /** Ends the one that is being made, if there is one: it leaves what was there before. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

function answerOf(child: ChildProcess): Promise<JournalBackup> {
  return new Promise((resolve, reject) => {
    let answer: BackupAnswer | undefined;
    child.on('message', (message) => (answer = message as BackupAnswer));
    child.on('error', (error) => reject(new BackupFailed(`no process can be started for it: ${error.message}`)));
    // The channel is read to its end before `exit` is told of; `close` waits for streams as well, and there are none.
    child.on('close', (code, signal) => {
      if (answer === undefined) reject(new BackupFailed(`its process ended (${signal ?? code ?? 'unknown'})`));
      else if ('error' in answer) reject(new BackupFailed(answer.error));
      else resolve(answer.made);
    });
  });
}
