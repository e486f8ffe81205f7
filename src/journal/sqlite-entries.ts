/**
 * The entries as they lie in the database: several batches in one transaction, pages, heads of lanes.
 *
 * Here, off the event loop, the hashes are computed. State: durable, but for the heads of lanes, which are a bounded memory
 * of what the index says.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import { chainHash, genesis } from './chain.ts';
import { isUtf8 } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { SqliteLanes } from './sqlite-lanes.ts';
import { HASH_CHARS, packRecords, unpack } from './sqlite-wire.ts';
import type { PackedPage, PackedRecords, ScanRange } from './sqlite-wire.ts';

interface LaneHead {
  readonly id: number;
  readonly laneSeq: number;
  readonly hash: string;
}

/** Beyond that the heads are forgotten, and read again when they are needed. About 300 bytes each. */
const HEADS_MAX = 50_000;
/** A page ends at the first of the two: it is decoded in one go on the event loop. */
const PAGE_ENTRIES_MAX = 1_000;
const PAGE_CHARS_MAX = 4 * 1024 * 1024;

export interface Committed {
  /** So many batches, the oldest first, are durable. */
  readonly batches: number;
  /** Why the next one is not. */
  readonly failure?: Error;
}

class Misfit extends Error {
  override readonly name = 'Misfit';
}

/** offset, lane_id, lane_seq, at, version, kind, meta, content, hash, fingerprint or '' */
type Row = [number, number, number, number, number, EntryKind, string, string, string, string];

// Binary values cost more to hand over than all the rest: SQLite turns them from and to hex faster than JavaScript can.
const COLUMNS = `"offset", lane_id, lane_seq, at, version, kind, meta, content, lower(hex(hash)), lower(hex(fingerprint)) FROM entries`;

export class SqliteEntries {
  readonly #database: Database;
  readonly #lanes: SqliteLanes;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #insert: Statement;
  readonly #newest: Statement<[], number>;
  readonly #place: Statement<[number], [number, string]>;
  readonly #row: Statement<[number], Row>;
  readonly #rows: Statement<[number, number], Row>;
  readonly #heads = new Map<string, LaneHead>();
  #offset: number;

  /** @throws when the tables are not as they should be. */
  constructor(database: Database) {
    this.#database = database;
    this.#lanes = new SqliteLanes(database);
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#insert = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, unhex(?), NULL)');
    this.#newest = database.prepare<[], number>('SELECT coalesce(max("offset"), 0) FROM entries').pluck();
    const place = 'SELECT lane_seq, lower(hex(hash)) FROM entries WHERE "offset" = ?';
    this.#place = database.prepare<[number], [number, string]>(place).raw();
    this.#row = database.prepare<[number], Row>(`SELECT ${COLUMNS} WHERE "offset" = ?`).raw();
    const rows = `SELECT ${COLUMNS} WHERE "offset" > ? ORDER BY "offset" LIMIT ?`;
    this.#rows = database.prepare<[number, number], Row>(rows).raw();
    this.#offset = this.#newestOffset();
  }

  /** Offset of the newest entry; 0 when there is none. */
  get offset(): number {
    return this.#offset;
  }

  /** All in one transaction with one sync. Those in front of one that does not fit are committed without it. */
  commit(batches: readonly PackedRecords[]): Committed {
    let fitting = 0;
    try {
      this.#begin.run();
      for (const batch of batches) {
        for (const record of unpack(batch)) this.#add(record);
        fitting += 1;
      }
      this.#lanes.writeIfDue();
      this.#commit.run();
      return { batches: batches.length };
    } catch (error) {
      this.#rollBack();
      const failure = error as Error;
      if (!(failure instanceof Misfit) || fitting === 0) return { batches: 0, failure };
      // What stopped the transaction was a batch, and not the disk: those in front of it can still be written.
      const without = this.commit(batches.slice(0, fitting));
      return { batches: without.batches, failure: without.failure ?? failure };
    }
  }

  /** A page may end before `limit`; only an empty one is the end. */
  page({ after, limit, lane }: ScanRange): PackedPage {
    const records: EntryRecord[] = [];
    const count = Math.min(limit, PAGE_ENTRIES_MAX);
    let hashes = '';
    let chars = 0;
    for (const row of lane === undefined ? this.#rows.iterate(after, count) : this.#rowsOf(lane, after, count)) {
      const [offset, laneId, laneSeq, at, version, kind, meta, content, hash, print] = row;
      records.push({ version, offset, lane: lane ?? this.#lanes.nameOf(laneId), laneSeq, at, kind, meta, content });
      hashes += hash + print.padEnd(HASH_CHARS);
      chars += meta.length + content.length;
      if (chars > PAGE_CHARS_MAX) break;
    }
    return { ...packRecords(records), hashes };
  }

  /** laneSeq of the lane's newest entry; 0 when there is none. */
  laneSeq(lane: string): number {
    return this.#headOf(lane)?.laneSeq ?? 0;
  }

  close(): void {
    try {
      // Whoever copies the file next has everything in one.
      this.#database.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // On a full disk the log stays beside it: what is in there is durable, and read at the next start.
    }
    this.#database.close();
  }

  /** Another connection has taken over. */
  abandon(): void {
    this.#database.close();
  }

  #add(record: EntryRecord): void {
    const { offset, lane, laneSeq } = record;
    const head = this.#headOf(lane) ?? this.#newLane(lane);
    if (offset !== this.#offset + 1 || laneSeq !== head.laneSeq + 1) {
      throw new Misfit(
        `offset ${offset}, laneSeq ${laneSeq} of ${lane} does not continue the journal, ` +
          `which goes on with offset ${this.#offset + 1}, laneSeq ${head.laneSeq + 1}`,
      );
    }
    const hash = chainHash(head.hash, record);
    const { at, version, kind, meta, content } = record;
    this.#insert.run(offset, head.id, laneSeq, at, version, kind, meta, content, hash);
    this.#offset = offset;
    this.#lanes.place(head.id, offset);
    this.#remember(lane, { id: head.id, laneSeq, hash });
  }

  #newLane(lane: string): LaneHead {
    if (!isUtf8(lane)) throw new Misfit(`the name of lane ${JSON.stringify(lane)} can't be stored`);
    return { id: this.#lanes.add(lane), laneSeq: 0, hash: genesis(lane) };
  }

  #headOf(lane: string): LaneHead | undefined {
    const known = this.#heads.get(lane);
    if (known !== undefined) return known;
    const id = this.#lanes.idOf(lane);
    const offset = id === undefined ? undefined : this.#lanes.lastOffset(id);
    const place = offset === undefined ? undefined : this.#place.get(offset);
    if (id === undefined || place === undefined) return undefined;
    const head = { id, laneSeq: place[0], hash: place[1] };
    this.#remember(lane, head);
    return head;
  }

  #remember(lane: string, head: LaneHead): void {
    if (this.#heads.size >= HEADS_MAX && !this.#heads.has(lane)) this.#heads.clear();
    this.#heads.set(lane, head);
  }

  *#rowsOf(lane: string, after: number, count: number): Generator<Row> {
    const id = this.#lanes.idOf(lane);
    if (id === undefined) return;
    for (const offset of this.#lanes.offsets(id, after, count)) {
      const row = this.#row.get(offset);
      if (row === undefined) throw new Error(`offset ${offset} is missing in lane ${lane}`);
      yield row;
    }
  }

  #rollBack(): void {
    if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
    this.#heads.clear();
    this.#lanes.reload();
    this.#offset = this.#newestOffset();
  }

  #newestOffset(): number {
    return this.#newest.get() ?? 0;
  }
}
