/**
 * A backup becomes the journal of a new data directory.
 *
 * The copy is verified in the directory, under a name that no start takes for a journal, and put in place whole. Every session
 * that exists in it gets a new epoch: who saw what came after the backup holds cursors of a future that is lost, and must be told
 * of a gap instead of being given other events under the same numbers. State: durable.
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { SERVER_LANE } from '../../actors/entry.ts';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { HeadFiles } from './head-files.ts';
import type { KnownHead } from './head-files.ts';
import { removeUnborn } from './sqlite-backup.ts';
import { claimDirectory, isUnused, removeLock } from './sqlite-directory.ts';
import { SqliteEntries } from './sqlite-entries.ts';
import { journalHeader, openUnborn } from './sqlite-file.ts';
import { oneLine, refusalOf, refusals } from './sqlite-refusal.ts';
import { openForReading } from './sqlite-still.ts';
import { verifyDatabase } from './sqlite-verify.ts';
import { packEntries } from './sqlite-wire.ts';
import { syncDirectory } from './sync-directory.ts';
import { Verification } from './verify.ts';

export interface RestoreOptions {
  readonly idsMax: number;
  readonly at: number;
  /** Draws the epoch of a session. */
  readonly epoch: () => string;
  /** Told while the backup is verified. */
  readonly onProgress?: (entries: number, of: number) => void;
}

export interface JournalRestore {
  readonly path: string;
  /** Of the backup. */
  readonly entries: number;
  readonly lastOffset: number;
  readonly sessions: number;
}

const BATCH_ENTRIES = 1_000;

/**
 * @throws JournalRefused when `file` is no backup that verifies, or `dataDir` is not empty or can't be written; then nothing is
 * left of it.
 */
export function restoreBackup(file: string, dataDir: string, options: RestoreOptions): JournalRestore {
  const backup = resolve(file);
  const dir = resolve(dataDir);
  mustBeABackup(backup);
  const wasThere = statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true;
  if (wasThere && !isUnused(dir)) throw new JournalRefused(refusals.notEmpty(dir));
  const claim = claimDirectory(dir);
  const unborn = `${claim.journalPath}.new`;
  let born = false;
  try {
    removeUnborn(unborn);
    copy(backup, unborn);
    const { restored, head } = prepare(unborn, backup, options);
    renameSync(unborn, claim.journalPath);
    born = true;
    syncDirectory(dir);
    new HeadFiles(dir).write(head);
    return { path: claim.journalPath, ...restored };
  } catch (error) {
    if (born) rmSync(claim.journalPath, { force: true });
    born = false;
    throw refusalOf(dir, error);
  } finally {
    removeUnborn(unborn);
    claim.release();
    if (!born) takeBack(dir, wasThere);
  }
}

function mustBeABackup(backup: string): void {
  try {
    if (!journalHeader(backup)) throw new JournalRefused(refusals.noBackup(backup, 'it is another file'));
    // Beside a log the file alone is not the whole journal.
    if ((statSync(`${backup}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0)
      throw new JournalRefused(refusals.noBackup(backup, 'it is a journal in use: make one with troupe backup'));
  } catch (error) {
    if (error instanceof JournalRefused) throw error;
    throw new JournalRefused(refusals.noBackup(backup, (error as Error).message), { cause: error });
  }
}

function copy(backup: string, unborn: string): void {
  copyFileSync(backup, unborn, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(unborn, 0o600);
}

/** Verifies the copy, writes down that it was restored, and syncs it. */
function prepare(
  unborn: string,
  backup: string,
  options: RestoreOptions,
): { readonly restored: Omit<JournalRestore, 'path'>; readonly head: KnownHead } {
  const verification = new Verification({ idsMax: options.idsMax });
  verify(unborn, backup, verification, options.onProgress);
  const { ok, entries, lastOffset, problems } = verification.end();
  if (!ok) {
    const { offset = 0, problem = 'unknown' } = problems[0] ?? {};
    throw new JournalRefused(refusals.damagedBackup(backup, offset === 0 ? problem : `offset ${offset}: ${problem}`));
  }
  const lanes = [...verification.sessionLanes];
  const head = record(unborn, basename(backup), lanes, options);
  const descriptor = openSync(unborn, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { restored: { entries, lastOffset, sessions: lanes.length }, head };
}

function verify(
  unborn: string,
  backup: string,
  verification: Verification,
  onProgress: RestoreOptions['onProgress'],
): void {
  let reading: ReturnType<typeof openForReading> | undefined;
  try {
    reading = openForReading(unborn);
    const nothing = { head: undefined, mark: undefined };
    verifyDatabase(backup, { database: reading, flaw: undefined }, nothing, verification, onProgress);
  } catch (error) {
    if (error instanceof JournalRefused) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw code.startsWith('SQLITE_') ? new JournalRefused(refusals.damagedBackup(backup, oneLine(message))) : error;
  } finally {
    reading?.close();
  }
}

function record(unborn: string, backup: string, lanes: readonly string[], options: RestoreOptions): KnownHead {
  const entries = new SqliteEntries(openUnborn(unborn));
  try {
    let batch: Entry[] = [];
    const commit = (): void => {
      const { failure } = entries.commit([packEntries(batch)]);
      if (failure !== undefined) throw failure;
      batch = [];
    };
    const append = (lane: string, draft: EntryDraft): void => {
      const place = {
        offset: entries.offset + batch.length + 1,
        lane,
        laneSeq: entries.laneSeq(lane) + 1,
        at: options.at,
      };
      batch.push({ ...draft, ...place });
      if (batch.length >= BATCH_ENTRIES) commit();
    };
    append(SERVER_LANE, { kind: 'journal.restored', sessions: lanes.length, content: { backup } });
    for (const lane of lanes) {
      const sessionId = lane.slice(lane.indexOf(':') + 1);
      append(lane, { kind: 'session.restored', sessionId, epoch: options.epoch(), content: {} });
    }
    if (batch.length > 0) commit();
    return { offset: entries.offset, hash: entries.hash, digest: null, lanes: null };
  } finally {
    entries.abandon();
  }
}

/** The directory is as it was found. */
function takeBack(dir: string, wasThere: boolean): void {
  removeLock(dir);
  if (!wasThere && readdirSync(dir).length === 0) rmdirSync(dir);
  syncDirectory(dirname(dir));
}
