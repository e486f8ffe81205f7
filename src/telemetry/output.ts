/**
 * Where log lines go: a stream of the process, guarded.
 *
 * A reader that stalls must not stop the server, and one that goes away must not end it: at most `waitingBytesMax` wait for
 * a slow reader, further lines are dropped and counted, and a broken pipe swallows the rest. A line is written at once
 * whenever the reader keeps up, so the last words of a dying process are not lost in a buffer. State: volatile.
 */
import type { Writable } from 'node:stream';

export interface Output {
  write(line: string): void;
  /** Lines dropped since the last call. */
  takeLost(): number;
  readonly hasRoom: boolean;
  /** Bytes that the reader has not taken. */
  readonly waitingBytes: number;
  /** Waits until the reader has taken everything, at most `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export function createOutput(stream: Writable, waitingBytesMax = WAITING_BYTES_MAX): Output {
  let broken = false;
  let lost = 0;
  // Stays for good: an EPIPE that nobody listens to is an uncaught exception.
  stream.on('error', () => {
    broken = true;
  });

  const hasRoom = (): boolean => !broken && !stream.destroyed && stream.writableLength < waitingBytesMax;

  return {
    get hasRoom() {
      return hasRoom();
    },
    get waitingBytes() {
      return stream.writableLength;
    },
    write(line) {
      if (hasRoom()) stream.write(line);
      else lost += 1;
    },
    takeLost() {
      const count = lost;
      lost = 0;
      return count;
    },
    flush(timeoutMs) {
      if (stream.writableLength === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        stream.write('', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}
