/**
 * `troupe restore`: makes a new data directory from a backup, which is verified before anything is put in place. State: none.
 */
import { JournalRefused } from '../../actors/ports.ts';
import type { FlagValue } from '../config-sources.ts';
import { createIds } from '../ids.ts';
import { restoreBackup } from '../journal/sqlite-restore.ts';
import { counted } from './counted.ts';
import { exitCodes } from './exit-codes.ts';
import { loadOffline } from './load-offline.ts';
import { createProgress } from './progress.ts';
import { Refusal } from './refusal.ts';

export interface RestoreCommand {
  readonly flags: readonly FlagValue[];
  readonly file: string | undefined;
  readonly backup: string;
  readonly json: boolean;
}

export function restore({ flags, file, backup, json }: RestoreCommand): void {
  const { dataDir, idempotency } = loadOffline(flags, file);
  const progress = createProgress(process.stderr);
  const ids = createIds();
  try {
    const restored = restoreBackup(backup, dataDir, {
      idsMax: idempotency.entriesMax,
      at: Date.now(),
      epoch: () => ids.epoch(),
      onProgress: (entries, of) => progress.show(entries, of),
    });
    progress.clear();
    const { path, entries, lastOffset, sessions } = restored;
    const text =
      `${path}: restored ${counted(entries, 'entry', 'entries')} up to offset ${lastOffset}, ` +
      `${counted(sessions, 'session')} in a new epoch`;
    process.stdout.write(json ? `${JSON.stringify({ dataDir, ...restored })}\n` : `${text}\n`);
  } catch (error) {
    progress.clear();
    if (error instanceof JournalRefused) throw new Refusal(exitCodes.journal, error.message);
    throw error;
  }
}
