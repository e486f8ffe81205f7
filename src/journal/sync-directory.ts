/**
 * Makes the names in a directory survive a crash of the machine; syncing a file keeps its bytes and not its name. Done as far
 * as the file system knows such a thing, as SQLite does it for its own files.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';

/** What those answer that do not: Windows, some network file systems, directories that may be written and not read. */
const UNSUPPORTED: ReadonlySet<unknown> = new Set(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP']);

export function syncDirectory(dir: string): void {
  try {
    const descriptor = openSync(dir, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (!UNSUPPORTED.has((error as NodeJS.ErrnoException).code)) throw error;
  }
}
