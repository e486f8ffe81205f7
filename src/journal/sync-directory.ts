/** Makes the names in a directory survive a crash of the machine; syncing a file keeps its bytes and not its name. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

export function syncDirectory(dir: string): void {
  // Windows has no such thing, and needs none.
  if (process.platform === 'win32') return;
  const descriptor = openSync(dir, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
