/**
 * The entries of a data directory without a server, or beside one: nothing is locked and nothing is changed.
 *
 * For those who look back. What they are shown is what is stored; whether that is as it was written is for `troupe verify` to
 * say, only a hole in a lane is noticed here. State: volatile.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind, EntryReader, StoredEntry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { JournalDamage } from './damage.ts';
import { commandText, decode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { fingerprint } from './fingerprint.ts';
import { mustBeInForm } from './sqlite-file.ts';
import { SqliteLanes } from './sqlite-lanes.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { openStill } from './sqlite-still.ts';
import type { StillJournal } from './sqlite-still.ts';

const JOURNAL_FILE = 'journal.db';

/** offset, lane_id, lane_seq, at, version, kind, meta, content, hash, fingerprint or '', digest or '' */
type Row = [number, number, number, number, number, EntryKind, string, string, string, string, string];

export class DirectoryReader implements EntryReader {
  /** The journal's file. */
  readonly journal: string;
  readonly #still: StillJournal;
  readonly #lanes: SqliteLanes;
  readonly #row: Statement<[number], Row>;
  readonly #rows: Statement<[number, number], Row>;
  readonly #newest: number;

  /** @throws JournalRefused when there is no journal of troupe, or one that is damaged or newer than this code. */
  constructor(dataDir: string) {
    const dir = resolve(dataDir);
    this.journal = join(dir, JOURNAL_FILE);
    if (statSync(this.journal, { throwIfNoEntry: false }) === undefined)
      throw new JournalRefused(refusals.noJournal(dir));
    try {
      this.#still = openStill(this.journal);
    } catch (error) {
      throw refusalOf(this.journal, error);
    }
    const { database } = this.#still;
    try {
      mustBeInForm(this.journal, database);
      this.#lanes = new SqliteLanes(database);
      const columns = `"offset", lane_id, lane_seq, at, version, kind, meta, content, lower(hex(hash)),
        lower(hex(fingerprint)), ${hasDigests(database) ? 'lower(hex(digest))' : "''"} FROM entries`;
      this.#row = database.prepare<[number], Row>(`SELECT ${columns} WHERE "offset" = ?`).raw();
      const rows = `SELECT ${columns} WHERE "offset" > ? ORDER BY "offset" LIMIT ?`;
      this.#rows = database.prepare<[number, number], Row>(rows).raw();
      this.#newest = database.prepare<[], number>('SELECT coalesce(max("offset"), 0) FROM entries').pluck().get() ?? 0;
    } catch (error) {
      this.#still.close();
      throw refusalOf(this.journal, error);
    }
  }

  /** Offset of the newest entry when it was opened: what a server writes meanwhile is not shown. */
  get newest(): number {
    return this.#newest;
  }

  async scan({ after, limit, lane }: Parameters<EntryReader['scan']>[0]): Promise<StoredEntry[]> {
    return this.#reading(() => {
      if (lane === undefined) return this.#rows.all(after, limit).flatMap((row) => this.#stored(row) ?? []);
      const id = this.#lanes.idOf(lane);
      if (id === undefined) return [];
      return this.#lanes.offsets(id, after, limit).flatMap((offset) => {
        const row = this.#row.get(offset);
        if (row?.[1] !== id) throw new JournalDamage(offset, `is missing in ${lane}`);
        return this.#stored(row) ?? [];
      });
    });
  }

  async read(offset: number): Promise<StoredEntry | undefined> {
    return this.#reading(() => {
      const row = this.#row.get(offset);
      return row && this.#stored(row);
    });
  }

  close(): void {
    this.#still.close();
  }

  #stored(row: Row): StoredEntry | undefined {
    const [offset, laneId, laneSeq, at, version, kind, meta, content, hash, print, digest] = row;
    if (offset > this.#newest) return undefined;
    const lane = this.#lanes.nameOf(laneId);
    const record: EntryRecord = { version, offset, lane, laneSeq, at, kind, meta, content };
    try {
      const entry = decode(digest === '' ? record : { ...record, digest });
      if (print !== '') return { entry, hash, fingerprint: print };
      const named = entry.kind === 'command.accepted' || entry.kind === 'command.settled';
      if (named && entry.fingerprint !== undefined) return { entry, hash, fingerprint: entry.fingerprint };
      return named ? new Received(entry, hash, commandText(content) ?? '') : { entry, hash };
    } catch (error) {
      throw new JournalDamage(offset, `does not read as a ${kind}: ${(error as Error).message}`);
    }
  }

  #reading<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw refusalOf(this.journal, error);
    }
  }
}

/** An entry with a command as it was received. Its fingerprint costs more than all the rest, and hardly anyone asks for it. */
class Received implements StoredEntry {
  readonly entry: StoredEntry['entry'];
  readonly hash: string;
  readonly #command: string;

  constructor(entry: StoredEntry['entry'], hash: string, command: string) {
    this.entry = entry;
    this.hash = hash;
    this.#command = command;
  }

  get fingerprint(): string {
    return fingerprint(this.#command);
  }
}

/** Whoever only reads takes a file of the form before as well. */
function hasDigests(database: Database): boolean {
  const columns = database.pragma('table_info(entries)') as { readonly name: string }[];
  return columns.some(({ name }) => name === 'digest');
}
