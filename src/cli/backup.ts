/**
 * `troupe backup`: copies the journal of a data directory into one file, beside a running server or without one, and verifies
 * the copy before it is put in place. State: none.
 */
import { BackupFailed, JournalRefused } from '../../actors/ports.ts';
import type { FlagValue } from '../config-sources.ts';
import { writeBackup } from '../journal/sqlite-backup.ts';
import { counted } from './counted.ts';
import { exitCodes } from './exit-codes.ts';
import { loadOffline } from './load-offline.ts';
import { createProgress } from './progress.ts';
import { Refusal } from './refusal.ts';

export interface BackupCommand {
  readonly flags: readonly FlagValue[];
  readonly file: string | undefined;
  readonly out: string;
  readonly json: boolean;
}

export function backup({ flags, file, out, json }: BackupCommand): void {
  const { dataDir, idempotency } = loadOffline(flags, file);
  const progress = createProgress(process.stderr);
  try {
    const onProgress = (entries: number, of: number): void => progress.show(entries, of);
    const made = writeBackup(dataDir, out, { idsMax: idempotency.entriesMax, onProgress });
    progress.clear();
    const { path, bytes, entries, lastOffset, sha256 } = made;
    const text = `${path}: ${counted(bytes, 'byte')}, ${counted(entries, 'entry', 'entries')} up to offset ${lastOffset}`;
    process.stdout.write(json ? `${JSON.stringify({ dataDir, ...made })}\n` : `${text}, verified; sha256 ${sha256}\n`);
  } catch (error) {
    progress.clear();
    if (error instanceof BackupFailed) throw new Refusal(exitCodes.failed, error.message);
    if (error instanceof JournalRefused) throw new Refusal(exitCodes.journal, error.message);
    throw error;
  }
}
