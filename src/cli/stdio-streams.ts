/**
 * stdin and stdout for the protocol alone. State: volatile (the process's own stdout).
 */
import type { StdioStreams } from '../transports/stdio.ts';

/**
 * From now on `process.stdout` is stderr: one line of a library that says hello with console.log, and the client on the
 * other side reads a frame that is none.
 */
export function claimStdio(): StdioStreams {
  const { stdin, stdout, stderr } = process;
  Object.defineProperty(process, 'stdout', { configurable: true, enumerable: true, get: () => stderr });
  return { input: stdin, output: stdout };
}
