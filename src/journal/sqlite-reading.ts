/**
 * The entries of a data directory without a server, or beside one: nothing is locked and nothing is changed.
 *
 * For those who look back. What they are shown is what is stored; whether that is as it was written is for `troupe verify` to
 * say, only a hole in a lane is noticed here (see lane-continuity.ts). State: volatile.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import type { Entry, EntryKind, EntryReader, StoredEntry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { JournalDamage } from './damage.ts';
import { commandText, decode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { fingerprint } from './fingerprint.ts';
import { LaneContinuity } from './lane-continuity.ts';
import type { LanePlace } from './lane-continuity.ts';
import { mustBeInForm } from './sqlite-file.ts';
import { SqliteLanes } from './sqlite-lanes.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { openStill } from './sqlite-still.ts';
import type { StillJournal } from './sqlite-still.ts';

const JOURNAL_FILE = 'journal.db';

/** offset, lane_id, lane_seq, at, version, kind, meta, content, whether it was blanked */
type Row = [number, number, number, number, number, EntryKind, string, string, 0 | 1];

/** Hashes in hex; the fingerprint and the digest are '' where there is none. */
type Hashes = [hash: string, fingerprint: string, digest: string];

export class DirectoryReader implements EntryReader {
  /** The journal's file. */
  readonly journal: string;
  readonly #still: StillJournal;
  readonly #lanes: SqliteLanes;
  readonly #row: Statement<[number], Row>;
  readonly #rows: Statement<[number, number], Row>;
  readonly #placed: Statement<[number, number, number], Row>;
  readonly #hashes: Statement<[number], Hashes>;
  readonly #newest: number;
  readonly #continuity: LaneContinuity;

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
      const digest = hasDigests(database) ? 'e.digest' : 'NULL';
      const select = `SELECT e."offset", e.lane_id, e.lane_seq, e.at, e.version, e.kind, e.meta, e.content, ${digest} IS NOT NULL`;
      this.#row = database.prepare<[number], Row>(`${select} FROM entries e WHERE e."offset" = ?`).raw();
      const rows = `${select} FROM entries e WHERE e."offset" > ? ORDER BY e."offset" LIMIT ?`;
      this.#rows = database.prepare<[number, number], Row>(rows).raw();
      // CROSS keeps the order of the two: along the index, and each entry by its place.
      const placed = `${select} FROM places p CROSS JOIN entries e ON e."offset" = p."offset"
        WHERE p.lane_id = ? AND p."offset" > ? ORDER BY p."offset" LIMIT ?`;
      this.#placed = database.prepare<[number, number, number], Row>(placed).raw();
      const hashes = `SELECT lower(hex(e.hash)), lower(hex(e.fingerprint)), lower(hex(${digest})) FROM entries e WHERE e."offset" = ?`;
      this.#hashes = database.prepare<[number], Hashes>(hashes).raw();
      const anchored = anchorsOf(database);
      this.#continuity = new LaneContinuity({
        nameOf: (laneId) => this.#lanes.nameOf(laneId),
        firstOf: (laneId) => (anchored.get(laneId) ?? 0) + 1,
      });
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
      if (lane === undefined) {
        const rows = this.#rows.all(after, limit);
        this.#continuity.all(after, rows.map(placeOf));
        return rows.flatMap((row) => this.#stored(row) ?? []);
      }
      const id = this.#lanes.idOf(lane);
      if (id === undefined) return [];
      const rows = this.#placed.all(id, after, limit);
      // The newest ones may not be in the index yet.
      const missing = limit - rows.length;
      const offsets = missing === 0 ? [] : this.#lanes.offsets(id, rows.at(-1)?.[0] ?? after, missing);
      for (const offset of offsets) {
        const row = this.#row.get(offset);
        if (row?.[1] !== id) throw new JournalDamage(offset, `is missing in ${lane}`);
        rows.push(row);
      }
      this.#continuity.lane(id, after, rows.map(placeOf));
      return rows.flatMap((row) => this.#stored(row, lane) ?? []);
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

  #stored(row: Row, knownLane?: string): StoredEntry | undefined {
    const [offset, laneId, laneSeq, at, version, kind, meta, content, blanked] = row;
    if (offset > this.#newest) return undefined;
    const lane = knownLane ?? this.#lanes.nameOf(laneId);
    const record: EntryRecord = { version, offset, lane, laneSeq, at, kind, meta, content };
    try {
      // Which digest it is, is nothing that an entry shows.
      const entry = decode(blanked === 1 ? { ...record, digest: '' } : record);
      return new LookedAt(entry, content, () => this.#hashes.get(offset)!);
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

/** Hashes cost more to read than all the rest, and hardly anyone asks for them. */
class LookedAt implements StoredEntry {
  readonly entry: Entry;
  readonly #content: string;
  readonly #hashes: () => Hashes;

  constructor(entry: Entry, content: string, hashes: () => Hashes) {
    this.entry = entry;
    this.#content = content;
    this.#hashes = hashes;
  }

  get hash(): string {
    return this.#hashes()[0];
  }

  get fingerprint(): string {
    if ('fingerprint' in this.entry && this.entry.fingerprint !== undefined) return this.entry.fingerprint;
    const stored = this.#hashes()[1];
    if (stored !== '') return stored;
    const command = commandText(this.#content);
    return command === undefined ? '' : fingerprint(command);
  }

  get digest(): string {
    return this.#hashes()[2];
  }
}

function placeOf([offset, laneId, laneSeq]: Row): LanePlace {
  return { offset, laneId, laneSeq };
}

/** Of lanes that lost their older entries: the number of the last one that was dropped. */
function anchorsOf(database: Database): ReadonlyMap<number, number> {
  const tables = database.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
  if (!tables.includes('anchors')) return new Map();
  const rows = database.prepare<[], [number, number]>('SELECT lane_id, dropped_lane_seq FROM anchors').raw().all();
  return new Map(rows);
}

/** Whoever only reads takes a file of the form before as well. */
function hasDigests(database: Database): boolean {
  const columns = database.pragma('table_info(entries)') as { readonly name: string }[];
  return columns.some(({ name }) => name === 'digest');
}
