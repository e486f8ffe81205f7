/**
 * What the tools have in common that read a data directory without a server, or beside one: where it is, how it is opened, and
 * how they tell that something is not there. State: none.
 */
import { JournalRefused } from '../../actors/ports.ts';
import type { SessionPicture, NotThere } from '../../actors/message.ts';
import type { FlagValue } from '../config-sources.ts';
import type { Config } from '../config.ts';
import { DirectoryReader } from '../journal/sqlite-reading.ts';
import { exitCodes } from './exit-codes.ts';
import { loadOffline } from './load-offline.ts';
import { Refusal } from './refusal.ts';

/** What every one of them takes. */
export interface OfflineCommand {
  readonly flags: readonly FlagValue[];
  readonly file: string | undefined;
}

/** Opens the journal for `use` and closes it again. @throws Refusal for one that cannot be read. */
export async function withJournal<Result>(
  command: OfflineCommand,
  use: (reader: DirectoryReader, config: Config) => Promise<Result>,
): Promise<Result> {
  const config = loadOffline(command.flags, command.file);
  let reader: DirectoryReader | undefined;
  try {
    reader = new DirectoryReader(config.dataDir);
    return await use(reader, config);
  } catch (error) {
    if (error instanceof JournalRefused) throw new Refusal(exitCodes.journal, error.message);
    throw error;
  } finally {
    reader?.close();
  }
}

/** @throws Refusal with one line for what is not there. */
export function mustBeThere(
  found: SessionPicture | NotThere,
  {
    session,
    epoch,
    seq,
  }: { readonly session: string; readonly epoch?: string | undefined; readonly seq?: number | undefined },
  journal: string,
): SessionPicture {
  if (!('missing' in found)) return found;
  switch (found.missing) {
    case 'session':
      throw notThere(`there is no session "${session}" in ${journal}`);
    case 'epoch':
      throw notThere(`session "${session}" never had the epoch "${epoch ?? ''}" in ${journal}`);
    case 'dropped':
      throw notThere(
        `CURSOR_EXPIRED: what session "${session}" was at event ${seq ?? 0} is not kept any more: event ${found.firstSeq} is the first that is`,
      );
    case 'seq':
      throw notThere(
        `CURSOR_EXPIRED: session "${session}" has no event ${seq ?? 0}: the newest one is ${found.headSeq}`,
      );
  }
}

function notThere(line: string): Refusal {
  return new Refusal(exitCodes.failed, printable(line));
}

/** What comes from a journal must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** An option that is a whole number. @throws Refusal */
export function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Refusal(exitCodes.usage, `${flag} must be a whole number from 0 on`);
}

/** Milliseconds since 1970, or a date and time as ISO 8601 has it. @throws Refusal */
export function timeOption(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = /^\d{1,15}$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  if (Number.isSafeInteger(at)) return at;
  throw new Refusal(exitCodes.usage, `${flag} must be a time like 2026-01-31T12:00:00Z, or milliseconds since 1970`);
}
