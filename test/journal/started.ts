/** A started `journal-process.ts`, and what it said. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const JOURNAL_PROCESS = fileURLToPath(new URL('./journal-process.ts', import.meta.url));

export interface Started {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** The first line from now on, or from before, that begins like this. */
  said(beginning: string): Promise<string>;
  /** All that it said, once it has ended. */
  readonly ended: Promise<readonly string[]>;
}

export function startProcess(command: string, args: readonly string[]): Started {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => lines);
  return {
    child,
    lines,
    ended,
    said: async (beginning) => {
      for (let from = 0; ; from += 1) {
        while (from >= lines.length) {
          const more = await Promise.race([once(reader, 'line'), ended.then(() => undefined)]);
          if (more === undefined && from >= lines.length)
            throw new Error(`it ended without '${beginning}': ${lines.join(' | ')}`);
        }
        const line = lines[from];
        if (line?.startsWith(beginning) === true) return line;
      }
    },
  };
}
