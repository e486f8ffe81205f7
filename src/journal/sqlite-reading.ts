/**
 * The entries of a data directory without a server, or beside one: nothing is locked and nothing is changed.
 *
 * For those who look back. What they are shown is what is stored; whether that is as it was written is for `troupe verify` to
 * say, only a hole in a lane is noticed here (see lane-continuity.ts). State: volatile.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import type { Entry, EntryKind, EntryRange, EntryReader, StoredEntry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { JournalDamage, unreadable } from './damage.ts';
import { commandText, decode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { onDemand } from './entry-on-demand.ts';
import { fingerprint } from './fingerprint.ts';
import { LaneContinuity } from './lane-continuity.ts';
import type { LanePlace } from './lane-continuity.ts';
import { snapshotsOf } from './sqlite-derived.ts';
import type { StoredSnapshot } from './sqlite-derived.ts';
import { mustBeInForm } from './sqlite-file.ts';
import { SqliteLanes } from './sqlite-lanes.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { openStill } from './sqlite-still.ts';
import { KINDS } from './sqlite-wire.ts';
import type { StillJournal } from './sqlite-still.ts';

const JOURNAL_FILE = 'journal.db';

/** offset, lane_seq, at, twice the version and 1 if it was blanked, kind, meta, content, and lane_id where it is not known. */
type Row = [number, number, number, number, EntryKind, string, string, number?];

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
  /** A lane is asked for page by page. */
  #lastLane: { readonly name: string; readonly id: number | undefined } | undefined;
  readonly #hashesOf = (offset: number): Hashes => this.#hashes.get(offset)!;
  readonly #decoded = (record: EntryRecord): Entry => {
    try {
      return decode(record);
    } catch (error) {
      throw unreadable(record, error);
    }
  };
  /** Damage may show when the page was handed over long ago. */
  readonly #onDemand = (record: EntryRecord): Entry =>
    onDemand(record, (found, error) => refusalOf(this.journal, unreadable(found, error)));

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
      const form = `e.version * 2 + (${digest} IS NOT NULL)`;
      // Each column costs, and of a lane's entries the lane is known.
      const select = `SELECT e."offset", e.lane_seq, e.at, ${form}, e.kind, e.meta, e.content`;
      this.#row = database.prepare<[number], Row>(`${select}, e.lane_id FROM entries e WHERE e."offset" = ?`).raw();
      const rows = `${select}, e.lane_id FROM entries e WHERE e."offset" > ? ORDER BY e."offset" LIMIT ?`;
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

  async scan({ after, limit, lane, toFold }: EntryRange): Promise<StoredEntry[]> {
    return this.#reading(() => {
      const read = toFold === true ? this.#onDemand : this.#decoded;
      if (lane === undefined) {
        const rows = this.#rows.all(after, limit);
        this.#continuity.all(after, rows.map(placeOf));
        return this.#storedOf(
          rows.map((row) => recordOf(row, this.#lanes.nameOf(row[7]!))),
          read,
        );
      }
      const id = this.#idOf(lane);
      if (id === undefined) return [];
      const rows = this.#placed.all(id, after, limit);
      // The newest ones may not be in the index yet.
      const missing = limit - rows.length;
      const offsets = missing === 0 ? [] : this.#lanes.offsets(id, rows.at(-1)?.[0] ?? after, missing);
      for (const [index, row] of this.#rowsAt(offsets).entries()) {
        if (row?.[7] !== id) throw new JournalDamage(offsets[index]!, `is missing in ${lane}`);
        rows.push(row);
      }
      const records = rows.map((row) => recordOf(row, lane));
      this.#continuity.lane(id, after, records);
      return this.#storedOf(records, read);
    });
  }

  async read(offset: number): Promise<StoredEntry | undefined> {
    return this.#reading(() => {
      const row = this.#row.get(offset);
      return row && this.#storedOf([recordOf(row, this.#lanes.nameOf(row[7]!))], this.#decoded)[0];
    });
  }

  /** Snapshots of what was there when it was opened. */
  *snapshots(): Generator<StoredSnapshot> {
    for (const snapshot of snapshotsOf(this.#still.database)) if (snapshot.offset <= this.#newest) yield snapshot;
  }

  close(): void {
    this.#still.close();
  }

  /** What a server wrote meanwhile is not shown. */
  #storedOf(records: readonly EntryRecord[], read: (record: EntryRecord) => Entry): StoredEntry[] {
    const shown = records.at(-1)?.offset ?? 0;
    const old = shown <= this.#newest ? records : records.filter(({ offset }) => offset <= this.#newest);
    return old.map((record) => new LookedAt(read(record), record.content, this.#hashesOf));
  }

  /** Of a session that is alone with its words they lie side by side: one question, and not one for each. */
  #rowsAt(offsets: readonly number[]): (Row | undefined)[] {
    const [first, last] = [offsets[0], offsets.at(-1)];
    if (first === undefined || last! - first !== offsets.length - 1)
      return offsets.map((offset) => this.#row.get(offset));
    const rows = this.#rows.all(first - 1, offsets.length);
    return offsets.map((offset, index) => (rows[index]?.[0] === offset ? rows[index] : undefined));
  }

  #idOf(lane: string): number | undefined {
    if (this.#lastLane?.name !== lane) this.#lastLane = { name: lane, id: this.#lanes.idOf(lane) };
    return this.#lastLane.id;
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
  readonly #hashes: (offset: number) => Hashes;

  constructor(entry: Entry, content: string, hashes: (offset: number) => Hashes) {
    this.entry = entry;
    this.#content = content;
    this.#hashes = hashes;
  }

  get hash(): string {
    return this.#hashes(this.entry.offset)[0];
  }

  get fingerprint(): string {
    if ('fingerprint' in this.entry && this.entry.fingerprint !== undefined) return this.entry.fingerprint;
    const stored = this.#hashes(this.entry.offset)[1];
    if (stored !== '') return stored;
    const command = commandText(this.#content);
    return command === undefined ? '' : fingerprint(command);
  }

  get digest(): string {
    return this.#hashes(this.entry.offset)[2];
  }
}

function recordOf([offset, laneSeq, at, form, kind, meta, content]: Row, lane: string): EntryRecord {
  const version = form >> 1;
  // Which digest it is, is nothing that an entry shows.
  const digest = form % 2 === 1 ? '' : undefined;
  return { version, offset, lane, laneSeq, at, kind: kinds.get(kind) ?? kind, meta, content, digest };
}

/** SQLite hands over another text each time, which would be compared letter by letter with each name that it might be. */
const kinds: ReadonlyMap<string, EntryKind> = new Map(KINDS.map((kind) => [kind, kind]));

function placeOf([offset, laneSeq, , , , , , laneId]: Row): LanePlace {
  return { offset, laneId: laneId!, laneSeq };
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
