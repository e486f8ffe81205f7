/**
 * The entries as they lie in the database: several batches in one transaction, pages, heads of lanes.
 *
 * Here, off the event loop, the hashes are computed. State: durable, but for the heads of lanes, which are a bounded memory
 * of what the index says.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import { chainHash, genesis } from './chain.ts';
import { commandText, isUtf8 } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { fingerprint } from './fingerprint.ts';
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
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #insert: Statement;
  readonly #insertLane: Statement;
  readonly #laneId: Statement<[string], number>;
  readonly #laneName: Statement<[number], string>;
  readonly #laneHead: Statement<[number], [number, string]>;
  readonly #page: Statement<[number, number], Row>;
  readonly #lanePage: Statement<[number, number, number], Row>;
  readonly #heads = new Map<string, LaneHead>();
  readonly #names = new Map<number, string>();
  #offset: number;

  /** @throws when the tables are not as they should be. */
  constructor(database: Database) {
    this.#database = database;
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#insert = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, unhex(?), unhex(?))');
    this.#insertLane = database.prepare('INSERT INTO lanes (name) VALUES (?)');
    this.#laneId = database.prepare<[string], number>('SELECT id FROM lanes WHERE name = ?').pluck();
    this.#laneName = database.prepare<[number], string>('SELECT name FROM lanes WHERE id = ?').pluck();
    this.#laneHead = database
      .prepare<[number], [number, string]>(
        'SELECT lane_seq, lower(hex(hash)) FROM entries WHERE lane_id = ? ORDER BY lane_seq DESC LIMIT 1',
      )
      .raw();
    this.#page = database
      .prepare<[number, number], Row>(`SELECT ${COLUMNS} WHERE "offset" > ? ORDER BY "offset" LIMIT ?`)
      .raw();
    this.#lanePage = database
      .prepare<[number, number, number], Row>(
        `SELECT ${COLUMNS} WHERE lane_id = ? AND "offset" > ? ORDER BY lane_seq LIMIT ?`,
      )
      .raw();
    this.#offset = this.#storedOffset();
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
      this.#commit.run();
      return { batches: batches.length };
    } catch (error) {
      this.#rollBack();
      const failure = error as Error;
      // What stopped the transaction was the batch itself, and not the disk: the others can still be written.
      if (failure instanceof Misfit && fitting > 0) return { ...this.commit(batches.slice(0, fitting)), failure };
      return { batches: 0, failure };
    }
  }

  /** A page may end before `limit`; only an empty one is the end. */
  page({ after, limit, lane }: ScanRange): PackedPage {
    const records: EntryRecord[] = [];
    const count = Math.min(limit, PAGE_ENTRIES_MAX);
    let hashes = '';
    let chars = 0;
    for (const row of this.#rows(after, count, lane)) {
      const [offset, laneId, laneSeq, at, version, kind, meta, content, hash, print] = row;
      records.push({ version, offset, lane: lane ?? this.#nameOf(laneId), laneSeq, at, kind, meta, content });
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
    // Whoever opens it next, or copies it, finds everything in one file.
    this.#database.pragma('wal_checkpoint(TRUNCATE)');
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
    const command = commandText(record.content);
    const print = command === undefined ? null : fingerprint(command);
    const { at, version, kind, meta, content } = record;
    this.#insert.run(offset, head.id, laneSeq, at, version, kind, meta, content, hash, print);
    this.#offset = offset;
    this.#heads.set(lane, { id: head.id, laneSeq, hash });
  }

  #newLane(lane: string): LaneHead {
    if (!isUtf8(lane)) throw new Misfit(`the name of lane ${JSON.stringify(lane)} can't be stored`);
    const id = Number(this.#insertLane.run(lane).lastInsertRowid);
    return { id, laneSeq: 0, hash: genesis(lane) };
  }

  #headOf(lane: string): LaneHead | undefined {
    const known = this.#heads.get(lane);
    if (known !== undefined) return known;
    const id = this.#laneId.get(lane);
    if (id === undefined) return undefined;
    const [laneSeq, hash] = this.#laneHead.get(id) ?? [0, genesis(lane)];
    const head = { id, laneSeq, hash };
    if (this.#heads.size >= HEADS_MAX) this.#heads.clear();
    this.#heads.set(lane, head);
    return head;
  }

  #nameOf(id: number): string {
    let name = this.#names.get(id);
    if (name === undefined) {
      name = this.#laneName.get(id);
      if (name === undefined) throw new Error(`an entry belongs to lane ${id}, which is not listed`);
      if (this.#names.size >= HEADS_MAX) this.#names.clear();
      this.#names.set(id, name);
    }
    return name;
  }

  #rows(after: number, count: number, lane: string | undefined): Iterable<Row> {
    if (lane === undefined) return this.#page.iterate(after, count);
    const id = this.#laneId.get(lane);
    return id === undefined ? [] : this.#lanePage.iterate(id, after, count);
  }

  #rollBack(): void {
    if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
    this.#heads.clear();
    this.#offset = this.#storedOffset();
  }

  #storedOffset(): number {
    return this.#database.prepare<[], number>('SELECT coalesce(max("offset"), 0) FROM entries').pluck().get() ?? 0;
  }
}
