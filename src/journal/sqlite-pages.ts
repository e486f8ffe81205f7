/**
 * Pages of entries as they lie in the database: all of them or those of a lane, ascending.
 *
 * What a page shows is whole: an entry that is missing, that SQLite cannot read or that this code does not know is damage and
 * no shorter page. The first one who reads all of them has them checked on the way. State: volatile.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import { JournalDamage } from './damage.ts';
import { RECORD_VERSION } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import type { FirstReading } from './first-reading.ts';
import type { SqliteLanes } from './sqlite-lanes.ts';
import { HASH_CHARS, isKind, packRecords } from './sqlite-wire.ts';
import type { PackedPage, ScanRange } from './sqlite-wire.ts';

/** A page ends at the first of the two: it is decoded in one go on the event loop. */
const PAGE_ENTRIES_MAX = 1_000;
const PAGE_CHARS_MAX = 4 * 1024 * 1024;

/** offset, lane_id, lane_seq, at, version, kind, meta, content, hash, fingerprint or '', digest or '' */
type Row = [number, number, number, number, number, EntryKind, string, string, string, string, string];

// Binary values cost more to hand over than all the rest: SQLite turns them from and to hex faster than JavaScript can.
const COLUMNS = `"offset", lane_id, lane_seq, at, version, kind, meta, content,
  lower(hex(hash)), lower(hex(fingerprint)), lower(hex(digest)) FROM entries`;

export class SqlitePages {
  readonly #lanes: SqliteLanes;
  readonly #lastDropped: () => number;
  readonly #begin: (after: number) => FirstReading | undefined;
  readonly #row: Statement<[number], Row>;
  readonly #rows: Statement<[number, number], Row>;
  #foundDamage = false;
  /** `false`: it came to its end. */
  #reading: FirstReading | undefined | false;

  /**
   * @param lastDropped newest offset behind which no entry may be missing.
   * @param begin makes the first reading, each time that one may begin behind an offset.
   */
  constructor(
    database: Database,
    lanes: SqliteLanes,
    lastDropped: () => number,
    begin: (after: number) => FirstReading | undefined,
  ) {
    this.#lanes = lanes;
    this.#lastDropped = lastDropped;
    this.#begin = begin;
    this.#row = database.prepare<[number], Row>(`SELECT ${COLUMNS} WHERE "offset" = ?`).raw();
    const rows = `SELECT ${COLUMNS} WHERE "offset" > ? ORDER BY "offset" LIMIT ?`;
    this.#rows = database.prepare<[number, number], Row>(rows).raw();
  }

  /** True when a first reading came to something that is not as it was written. */
  get foundDamage(): boolean {
    return this.#foundDamage;
  }

  /**
   * A page may end before `limit`; only an empty one is the end.
   *
   * @param newest offset of the newest entry.
   * @throws JournalDamage
   */
  page(range: ScanRange, newest: number): PackedPage {
    const reading = this.#readingFrom(range);
    try {
      const page = this.#read(range, newest, reading);
      if (reading?.offset === newest) {
        this.#reading = false;
        reading.finish();
        // Held against a part of the entries, the index by lane says nothing.
        if (reading.isWhole) this.#lanes.mustFit(reading.places);
      }
      return page;
    } catch (error) {
      // Who asks again begins again.
      if (reading !== undefined) {
        this.#reading = undefined;
        this.#foundDamage = true;
      }
      throw error;
    }
  }

  /** The reading that `range` begins or goes on with. */
  #readingFrom({ after, lane, limit }: ScanRange): FirstReading | undefined {
    // Who asks for one entry does not go on, wherever it stands: be it the first one behind a checkpoint.
    if (this.#reading === false || lane !== undefined || limit === 1) return undefined;
    if (after === 0 || this.#reading === undefined) this.#reading = this.#begin(after);
    return this.#reading?.offset === after ? this.#reading : undefined;
  }

  #read({ after, limit, lane }: ScanRange, newest: number, reading: FirstReading | undefined): PackedPage {
    const records: EntryRecord[] = [];
    const count = Math.min(limit, PAGE_ENTRIES_MAX);
    let hashes = '';
    let chars = 0;
    for (const row of lane === undefined ? this.#rowsFrom(after, count, newest) : this.#rowsOf(lane, after, count)) {
      const [offset, laneId, laneSeq, at, version, kind, meta, content, hash, print, digest] = row;
      if (version > RECORD_VERSION || !isKind(kind)) throw new JournalDamage(offset, 'was written by a newer troupe');
      const name = lane ?? this.#lanes.nameOf(laneId);
      const place = { version, offset, lane: name, laneSeq, at, kind, meta, content };
      const record: EntryRecord = digest === '' ? place : { ...place, digest };
      reading?.take(record, laneId, hash);
      records.push(record);
      hashes += hash + print.padEnd(HASH_CHARS) + digest.padEnd(HASH_CHARS);
      chars += meta.length + content.length;
      if (chars > PAGE_CHARS_MAX) break;
    }
    return { ...packRecords(records), hashes };
  }

  *#rowsFrom(after: number, count: number, newest: number): Generator<Row> {
    let next = Math.max(0, after) + 1;
    const lastDropped = this.#lastDropped();
    let read = 0;
    try {
      for (const row of this.#rows.iterate(after, count)) {
        // Which of them were dropped and which are lost is for the first reading to find out.
        if (row[0] !== next && row[0] > lastDropped + 1) break;
        yield row;
        read += 1;
        next = row[0] + 1;
      }
    } catch (error) {
      // Its own words are for what it read; where that is, only the reader knows.
      throw isOfSqlite(error) ? new JournalDamage(next, `can't be read, ${error.message}`) : error;
    }
    if (read < count && next <= newest) throw new JournalDamage(next, 'is missing');
  }

  *#rowsOf(lane: string, after: number, count: number): Generator<Row> {
    const id = this.#lanes.idOf(lane);
    if (id === undefined) return;
    for (const offset of this.#lanes.offsets(id, after, count)) {
      const row = this.#row.get(offset);
      if (row?.[1] !== id) throw new JournalDamage(offset, `is missing in ${lane}`);
      yield row;
    }
  }
}

function isOfSqlite(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(String(error.code));
}
