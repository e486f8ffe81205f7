/**
 * The process that makes a backup for a server: a process and not a thread, so that it has a priority of its own below that of the
 * server, and can be ended in the middle of SQLite's copying when the server stops. State: volatile.
 */
import { setPriority } from 'node:os';
import { makeBackup } from './backup-directory.ts';
import type { BackupOrder } from './backup-directory.ts';
import type { JournalBackup } from '../../actors/ports.ts';

export type BackupAnswer = { readonly made: JournalBackup } | { readonly error: string };

const NICE = 10;

function answer(order: BackupOrder): BackupAnswer {
  try {
    setPriority(NICE);
  } catch {
    // Where it may not: it is only slower for the others.
  }
  try {
    return { made: makeBackup(order) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

if (process.send === undefined) throw new Error('sqlite-backup-process runs as a child of sqlite-backups.ts');
process.send(answer(JSON.parse(String(process.argv[2])) as BackupOrder));
process.disconnect();
