/**
 * `troupe export`: a window of a journal as a file of JSON lines, one for each entry, or as a test, with what the rules of redaction take away
 * left out. The file is there whole or not at all, and never takes the place of another. State: none.
 */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SERVER_LANE, sessionLane } from '../../actors/entry.ts';
import type { Entry, EntryReader, StoredEntry } from '../../actors/entry.ts';
import { catalog } from '../commands/catalog.ts';
import { secretFields } from '../commands/secret-fields.ts';
import { createRedaction } from '../journal/redaction.ts';
import { syncDirectory } from '../journal/sync-directory.ts';
import type { Redaction } from '../../actors/ports.ts';
import type { Config } from '../config.ts';
import type { DirectoryReader } from '../journal/sqlite-reading.ts';
import { counted } from './counted.ts';
import { exitCodes } from './exit-codes.ts';
import { testOf } from './export-test.ts';
import { printable, withJournal } from './offline.ts';
import type { OfflineCommand } from './offline.ts';
import { Refusal } from './refusal.ts';

export interface ExportCommand extends OfflineCommand {
  readonly out: string;
  readonly session: string | undefined;
  /** Milliseconds since 1970, both included. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Lines of JSON, or a test that runs the commands again. */
  readonly as: 'lines' | 'test';
}

const PAGE_ENTRIES = 1_000;

export async function exportBundle(command: ExportCommand): Promise<void> {
  const out = resolve(command.out);
  if (existsSync(out)) throw taken(out);
  await withJournal(command, async (reader, config) => {
    // The rules of today, also for what was stored under others.
    const redaction = createRedaction(config.redaction, secretFields(catalog));
    if (command.as === 'test') return exportTest(command, out, reader, config, redaction);
    const count = await writeWhole(out, async (write) => {
      let entries = 0;
      for await (const stored of windowOf(reader, command)) {
        write(`${lineOf(stored, redaction)}\n`);
        entries += 1;
      }
      if (entries === 0) throw nothing(reader);
      return entries;
    });
    process.stdout.write(`${printable(out)}: ${counted(count, 'entry', 'entries')}\n`);
  });
}

async function exportTest(
  command: ExportCommand,
  out: string,
  reader: DirectoryReader,
  config: Config,
  redaction: Redaction | undefined,
): Promise<void> {
  const entries: Entry[] = [];
  for await (const { entry } of windowOf(reader, command)) entries.push(entry);
  if (entries.length === 0) throw nothing(reader);
  const { text, commands, leftOut } = await testOf(entries, config, redaction);
  await writeWhole(out, async (write) => write(text));
  const note = leftOut === 0 ? '' : `; ${leftOut} not in it, with the reasons in the file`;
  process.stdout.write(`${printable(out)}: a test of ${counted(commands, 'command')}${note}\n`);
}

function nothing(reader: DirectoryReader): Refusal {
  return new Refusal(exitCodes.failed, `nothing in ${reader.journal} is in that window`);
}

/** In order of offsets. Of a session: its lane, and what the server's own holds about it. */
async function* windowOf(reader: EntryReader, { session, from = 0, to = Infinity }: ExportCommand) {
  const within = ({ entry }: StoredEntry): boolean => entry.at >= from && entry.at <= to;
  if (session === undefined) {
    for await (const stored of entriesOf(reader, undefined)) if (within(stored)) yield stored;
    return;
  }
  const lanes = [entriesOf(reader, sessionLane(session)), entriesOf(reader, SERVER_LANE)];
  const heads = await Promise.all(lanes.map((lane) => lane.next()));
  for (;;) {
    const ahead = heads.map(({ value }) => (value === undefined ? Infinity : value.entry.offset));
    const first = ahead[0]! < ahead[1]! ? 0 : 1;
    const stored = heads[first]!.value;
    if (stored === undefined) return;
    heads[first] = await lanes[first]!.next();
    if (within(stored) && (first === 0 || isAbout(stored.entry, session))) yield stored;
  }
}

async function* entriesOf(reader: EntryReader, lane: string | undefined): AsyncGenerator<StoredEntry, undefined> {
  for (let after = 0; ;) {
    const page = await reader.scan({ after, limit: PAGE_ENTRIES, ...(lane !== undefined && { lane }) });
    const last = page.at(-1);
    if (last === undefined) return undefined;
    after = last.entry.offset;
    yield* page;
  }
}

function isAbout(entry: Entry, session: string): boolean {
  return 'sessionId' in entry && entry.sessionId === session;
}

/** `hash` is what the chain says of the entry, of what it was and not of what is left of it. */
function lineOf({ entry, hash }: StoredEntry, redaction: Redaction | undefined): string {
  return JSON.stringify({ ...(redaction?.entry(entry) ?? entry), hash });
}

/** Under another name first, and in its place when it is on the disk. */
async function writeWhole<Result>(
  out: string,
  fill: (write: (text: string) => void) => Promise<Result>,
): Promise<Result> {
  const unborn = `${out}.${process.pid}.new`;
  try {
    const file = openSync(unborn, 'wx', 0o600);
    let result: Result;
    try {
      result = await fill((text) => writeSync(file, text));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // Unlike a rename, it never takes the place of what came there meanwhile.
    linkSync(unborn, out);
    syncDirectory(dirname(out));
    return result;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw taken(out);
    if (code === undefined) throw error;
    throw new Refusal(exitCodes.failed, `${printable(out)} cannot be written (${code}): name another file with --out`);
  } finally {
    rmSync(unborn, { force: true });
  }
}

function taken(out: string): Refusal {
  return new Refusal(exitCodes.usage, `${printable(out)} is there already: name another file with --out`);
}
