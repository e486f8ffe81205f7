/**
 * The journal's file: its form, how it is born, and the checks before it is used.
 *
 * The header of an SQLite file says whose it is (`application_id`) and in which form it is written (`user_version`). Both
 * are read before SQLite opens the file, because opening it makes files beside it. State: durable.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { JournalRefused } from '../../actors/ports.ts';
import { syncDirectory } from './sync-directory.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { migrate, SCHEMA, SCHEMA_VERSION, SCHEMA_VERSION_MIN } from './sqlite-schema.ts';

/** "Trpe". */
const APPLICATION_ID = 0x54727065;

/** Another program may be writing to the file for a moment, a copy or a check with the sqlite3 shell. */
export const BUSY_TIMEOUT_MS = 5_000;
const CACHE_KIBIBYTES = 16_384;

/**
 * Opens the journal's file, which is made if it is missing. The directory must be claimed.
 *
 * @param logIsTorn when something is left of a transaction that was never committed.
 * @throws JournalRefused when the file is damaged, foreign, newer than this code or not writable.
 */
export function openJournalFile(path: string, logIsTorn = false): Database.Database {
  let database: Database.Database | undefined;
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) createJournalFile(path);
    database = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    mustBeInForm(path, database);
    configure(database);
    if (logIsTorn) startLogAnew(database);
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
    migrate(database);
    return database;
  } catch (error) {
    database?.close();
    throw refusalOf(path, error);
  }
}

/**
 * Another connection to a journal that is open in this process, after an append failed. It trusts nothing that the failed one
 * remembers, starts the write-ahead log anew, so that nothing of the failed transaction is left in it, and is there only when
 * a transaction could be committed.
 *
 * The file's header is not looked at: closing any other descriptor of the file would drop the locks of this process.
 *
 * @throws JournalRefused
 */
export function reopenJournalFile(path: string): Database.Database {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    mustBeInForm(path, database);
    configure(database);
    startLogAnew(database);
    database.pragma(`user_version = ${SCHEMA_VERSION}`);
    return database;
  } catch (error) {
    database?.close();
    throw refusalOf(path, error);
  }
}

/**
 * What a crash or a failed commit left behind the last good one would stay in the log, behind newer and shorter transactions,
 * and look like damage one day. Who reads beside a server may prevent it: that is no reason to wait, nor to refuse.
 */
export function startLogAnew(database: Database.Database): void {
  database.pragma('busy_timeout = 0');
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
}

const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const PAGE_BYTES_AT = 16;
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

/**
 * Reads the file's header alone, and changes nothing.
 *
 * @throws JournalRefused when it is no journal of troupe, or newer than this code.
 */
export function mustBeAJournal(path: string): void {
  const header = headerOf(path, 'r+');
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new JournalRefused(refusals.noDatabase(path));
  mustBeOurs(path, header.readInt32BE(APPLICATION_ID_AT), header.readInt32BE(USER_VERSION_AT));
}

/** Whether a file that nobody has open begins as a journal of troupe does, of whatever form. */
export function journalHeader(path: string): boolean {
  const header = headerOf(path, 'r');
  return (
    header.toString('latin1', 0, MAGIC.length) === MAGIC && header.readInt32BE(APPLICATION_ID_AT) === APPLICATION_ID
  );
}

/** A journal that nobody else knows of yet: it has no log beside it, and is synced by who puts it in place. */
export function openUnborn(path: string): Database.Database {
  const database = new Database(path, { fileMustExist: true });
  try {
    // Not into the log that the form of the header may ask for.
    database.pragma('journal_mode = DELETE');
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Of a page, as the header says; nonsense in a header that is damaged. The same warning as for `mustBeAJournal` holds. */
export function pageBytesOf(path: string): number {
  const bytes = headerOf(path, 'r').readUInt16BE(PAGE_BYTES_AT);
  return bytes === 1 ? 65_536 : bytes;
}

function headerOf(path: string, flags: 'r' | 'r+'): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, flags);
  try {
    readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  return header;
}

/** What is still in the write-ahead log counts as well. */
export function mustBeInForm(path: string, database: Database.Database): void {
  const read = (name: string): number => database.pragma(name, { simple: true }) as number;
  mustBeOurs(path, read('application_id'), read('user_version'));
}

function mustBeOurs(path: string, applicationId: number, schemaVersion: number): void {
  if (applicationId !== APPLICATION_ID) throw new JournalRefused(refusals.foreignDatabase(path));
  if (schemaVersion > SCHEMA_VERSION) throw new JournalRefused(refusals.newer(path, schemaVersion, SCHEMA_VERSION));
  if (schemaVersion < SCHEMA_VERSION_MIN)
    throw new JournalRefused(refusals.damaged(path, `its form is ${schemaVersion}`));
}

/** Written under another name and put in place whole: a crash in between leaves no half-made journal. */
function createJournalFile(path: string): void {
  const unborn = `${path}.new`;
  for (const left of [unborn, `${unborn}-journal`]) rmSync(left, { force: true });
  // SQLite gives the files beside it the same mode.
  closeSync(openSync(unborn, 'wx', 0o600));
  const database = new Database(unborn, { fileMustExist: true });
  database.pragma('synchronous = EXTRA');
  database.exec(`
    BEGIN;
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${SCHEMA_VERSION};
    ${SCHEMA}
    COMMIT;
  `);
  database.close();
  renameSync(unborn, path);
  syncDirectory(dirname(path));
}

function configure(database: Database.Database): void {
  const mode = database.pragma('journal_mode = WAL', { simple: true });
  if (mode !== 'wal') throw new Error(`its file system allows no write-ahead log, the mode is ${String(mode)}`);
  // With FULL a commit returns after the log was synced; macOS needs to be told that a sync is to reach the disk.
  database.pragma('synchronous = FULL');
  database.pragma('fullfsync = ON');
  database.pragma('checkpoint_fullfsync = ON');
  database.pragma(`cache_size = -${CACHE_KIBIBYTES}`);
  // A transaction that is taken back has then written nothing into the log, where it would look like damage.
  database.pragma('cache_spill = OFF');
  // What is blanked is written over, also where it lay in pages that are free now.
  database.pragma('secure_delete = ON');
}
