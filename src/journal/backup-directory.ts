/**
 * A directory of backups that are made one after the other: what they are called, and how many are kept. An older one goes only
 * when a newer one is verified and in place, and what is called otherwise is left alone. State: durable.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalBackup } from '../../actors/ports.ts';
import { removeUnborn, writeBackup } from './sqlite-backup.ts';
import { makeDirectory } from './sqlite-directory.ts';

export interface BackupOrder {
  readonly dataDir: string;
  /** Made if it is missing. */
  readonly dir: string;
  /** So many are kept, the new one among them. */
  readonly keep: number;
  readonly idsMax: number;
  readonly at: number;
}

const NAME = /^troupe-\d{8}T\d{9}Z\.db$/;
const UNBORN = /^(troupe-\d{8}T\d{9}Z\.db\.new)(-journal|-wal|-shm)?$/;

/** Names in the order of time. */
function backupName(at: number): string {
  return `troupe-${new Date(at).toISOString().replaceAll(/[-:.]/g, '')}.db`;
}

/** For the one process that makes backups there. @throws BackupFailed or JournalRefused; then all that was there is there. */
export function makeBackup({ dataDir, dir, keep, idsMax, at }: BackupOrder): JournalBackup {
  makeDirectory(dir);
  for (const name of readdirSync(dir)) {
    const unborn = UNBORN.exec(name)?.[1];
    if (unborn !== undefined) removeUnborn(join(dir, unborn));
  }
  const made = writeBackup(dataDir, join(dir, backupName(at)), { idsMax, live: true });
  const backups = readdirSync(dir).filter((name) => NAME.test(name) && join(dir, name) !== made.path);
  const surplus = backups
    .sort()
    .reverse()
    .slice(keep - 1);
  for (const name of surplus) rmSync(join(dir, name), { force: true });
  return made;
}
