/** Why a journal cannot be opened: one line for people that names the file and what to do. Pure. */
import { JournalRefused } from '../../actors/ports.ts';
import { JournalDamage } from './damage.ts';

const ELSEWHERE = 'choose another directory with --data-dir';
const FROM_BACKUP = `restore it from a backup, or ${ELSEWHERE}`;
const FROM_WHAT_IS_LEFT = `restore it from a backup, or go on with what is left as docs/DURABILITY.md tells, or ${ELSEWHERE}`;

export const refusals = {
  inUse: (dir: string) => `${dir} is in use by another server: stop that one, or ${ELSEWHERE}`,
  noDirectory: (dir: string) => `${dir} is not a directory: ${ELSEWHERE}`,
  unmakable: (dir: string) => `${dir} cannot be made there: ${ELSEWHERE}`,
  noJournal: (dir: string) => `${dir} holds no journal of troupe: name another directory with --data-dir`,
  foreignDirectory: (dir: string) => `${dir} holds other files and no journal of troupe: ${ELSEWHERE}`,
  notEmpty: (dir: string) => `${dir} is not empty: restore into a directory that is new or empty`,
  noBackup: (path: string, why: string) => `${path} is no backup of troupe (${why}): name another file`,
  damagedBackup: (path: string, how: string) => `${path} is damaged (${how}): restore another backup`,
  notWritable: (path: string) => `${path} is not writable: let this user write to it, or ${ELSEWHERE}`,
  full: (path: string) => `${path} is on a full disk: make room there, or ${ELSEWHERE}`,
  unusable: (path: string, why: string) =>
    `${path} cannot be read or written (${why}): look after the disk and the room on it, or ${ELSEWHERE}`,
  noDatabase: (path: string) => `${path} is not an SQLite database: ${FROM_BACKUP}`,
  damaged: (path: string, how: string) => `${path} is damaged (${how}): ${FROM_WHAT_IS_LEFT}`,
  foreignDatabase: (path: string) => `${path} is the database of another program: ${ELSEWHERE}`,
  newer: (path: string, found: number, known: number) =>
    `${path} was written by a newer troupe (its form is ${found}, this one knows ${known}): upgrade troupe, or ${ELSEWHERE}`,
  noThread: (path: string, why: string) => `${path} cannot be opened (${why}): start the server again`,
  replaced: (path: string) =>
    `${path} is not the file any more that it was: stop the server, put the file back, start again`,
  otherwise: (path: string, why: string) => `${path} cannot be opened (${why}): ${FROM_BACKUP}`,
};

/** Turns whatever the file system or SQLite threw at `path` into a refusal. */
export function refusalOf(path: string, error: unknown): JournalRefused {
  if (error instanceof JournalRefused) return error;
  if (error instanceof JournalDamage) return new JournalRefused(refusals.damaged(path, oneLine(error.message)));
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  return new JournalRefused(textFor(path, code, oneLine(message)), { cause: error });
}

/** SQLite shows what it could not read, and a damaged text may hold anything. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

function textFor(path: string, code: string, message: string): string {
  if (code === 'ENOTDIR' || code === 'EEXIST') return refusals.noDirectory(path);
  if (code === 'ENOENT') return refusals.unmakable(path);
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return refusals.notWritable(path);
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) return refusals.notWritable(path);
  if (['ENOSPC', 'EDQUOT', 'SQLITE_FULL'].includes(code)) return refusals.full(path);
  if (code.startsWith('SQLITE_IOERR') || ['EIO', 'EFBIG'].includes(code)) return refusals.unusable(path, message);
  if (code === 'SQLITE_NOTADB') return refusals.noDatabase(path);
  if (code.startsWith('SQLITE_CORRUPT')) return refusals.damaged(path, message);
  if (code.startsWith('SQLITE_BUSY')) return refusals.inUse(path);
  return refusals.otherwise(path, message);
}
