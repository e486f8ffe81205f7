/**
 * The entries as they are written: several batches in one transaction, and the heads of lanes that they continue.
 *
 * Here, off the event loop, the hashes are computed. State: durable, but for the heads of lanes, which are a bounded memory
 * of what the index says.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { JournalSize } from '../../actors/ports.ts';
import { chainHash, genesis } from './chain.ts';
import { isUtf8 } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { FirstReading } from './first-reading.ts';
import type { LaneEnd } from './first-reading.ts';
import type { KnownHead } from './head-files.ts';
import { LaneLedger } from './lane-ledger.ts';
import { SqliteDerived } from './sqlite-derived.ts';
import { SqliteAnchors } from './sqlite-anchors.ts';
import { SqliteLanes } from './sqlite-lanes.ts';
import { SqliteBlanking } from './sqlite-blanking.ts';
import type { BlankedPage, BlankPage } from './sqlite-blanking.ts';
import { BUSY_TIMEOUT_MS, startLogAnew } from './sqlite-file.ts';
import { SqlitePages } from './sqlite-pages.ts';
import { unpack } from './sqlite-wire.ts';
import type { PackedPage, PackedRecords, ScanRange } from './sqlite-wire.ts';

interface LaneHead {
  readonly id: number;
  readonly laneSeq: number;
  readonly hash: string;
}

/** Beyond that the heads are forgotten, and read again when they are needed. About 300 bytes each. */
const HEADS_MAX = 50_000;

export interface Committed {
  /** So many batches, the oldest first, are durable. */
  readonly batches: number;
  /** Why the next one is not. */
  readonly failure?: Error;
}

class Misfit extends Error {
  override readonly name = 'Misfit';
}

export class SqliteEntries {
  readonly #database: Database;
  readonly #lanes: SqliteLanes;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #insert: Statement;
  readonly #newest: Statement<[], [number, string]>;
  readonly #place: Statement<[number], [number, string]>;
  readonly #pages: SqlitePages;
  readonly #blanking: SqliteBlanking;
  readonly #ledger: LaneLedger;
  readonly derived: SqliteDerived;
  readonly anchors: SqliteAnchors;
  readonly #heads = new Map<string, LaneHead>();
  /** What the open transaction adds to the ledger. */
  #added: Parameters<LaneLedger['take']>[] = [];
  readonly #openedAt: number;
  #offset: number;
  #hash: string;

  /**
   * @param head what is known of the end, for the first reading.
   * @param ledger of the connection before this one, if there was one.
   * @throws when the tables are not as they should be.
   */
  constructor(database: Database, head?: KnownHead, ledger = new LaneLedger()) {
    this.#database = database;
    this.#ledger = ledger;
    this.#lanes = new SqliteLanes(database);
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#insert = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, unhex(?), NULL, NULL)');
    const newest = 'SELECT "offset", lower(hex(hash)) FROM entries ORDER BY "offset" DESC LIMIT 1';
    this.#newest = database.prepare<[], [number, string]>(newest).raw();
    const place = 'SELECT lane_seq, lower(hex(hash)) FROM entries WHERE "offset" = ?';
    this.#place = database.prepare<[number], [number, string]>(place).raw();
    this.#blanking = new SqliteBlanking(database, this.#lanes);
    this.derived = new SqliteDerived(database, this.#lanes);
    this.anchors = new SqliteAnchors(database, this.#lanes);
    const lastDropped = (): number => this.anchors.lastDropped;
    this.#pages = new SqlitePages(database, this.#lanes, lastDropped, (after) => this.#beginReading(after, head));
    [this.#offset, this.#hash] = this.#end();
    this.#openedAt = this.#offset;
  }

  /** Offset of the newest entry; 0 when there is none. */
  get offset(): number {
    return this.#offset;
  }

  /** Of the newest entry, in hex; empty when there is none. */
  get hash(): string {
    return this.#hash;
  }

  get ledger(): LaneLedger {
    return this.#ledger;
  }

  /**
   * What a head file is to say, or `undefined` when the one that is there knows better: of a damaged journal, and of one that
   * is as it was opened and that nobody read. The ends of all lanes cost too much for any time but a stop.
   */
  known(withLanes = false): KnownHead | undefined {
    const counted = this.#ledger.offset === this.#offset;
    if (this.#pages.foundDamage || (!counted && this.#offset === this.#openedAt)) return undefined;
    const totals = counted ? this.#ledger.totals(withLanes) : { digest: null, lanes: null };
    return { offset: this.#offset, hash: this.#hash, ...totals };
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
      for (const added of this.#added) this.#ledger.take(...added);
      this.#added = [];
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

  /**
   * A page may end before `limit`; only an empty one is the end.
   *
   * @throws JournalDamage
   */
  page(range: ScanRange): PackedPage {
    return this.#pages.page(range, this.#offset);
  }

  /** A part of what is to be blanked, in a transaction of its own. */
  blank(page: BlankPage): BlankedPage {
    return this.#blanking.page(page, this.#offset);
  }

  /** Names of lanes, in order. */
  laneNames(after: string, limit: number): readonly string[] {
    return this.#lanes.names(after, limit);
  }

  /** What is in use of the file, the log not counted. */
  size(): JournalSize {
    const pragma = (name: string): number => this.#database.pragma(name, { simple: true }) as number;
    const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
    return { bytes, remains: this.anchors.remains.count };
  }

  /** What was blanked is gone from the log as well; false when somebody else reads it. */
  erase(): boolean {
    return this.#blanking.erase(BUSY_TIMEOUT_MS);
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

  /** After a transaction that failed. */
  startLogAnew(): void {
    startLogAnew(this.#database);
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
    this.#hash = hash;
    this.#added.push([offset, head.id, laneSeq, hash]);
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

  #rollBack(): void {
    if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
    this.#heads.clear();
    this.#added = [];
    this.#lanes.reload();
    [this.#offset, this.#hash] = this.#end();
  }

  /** From the first entry on, or from a checkpoint on: then the ledger goes on from what it had counted by then. */
  #beginReading(after: number, head: KnownHead | undefined): FirstReading | undefined {
    if (after === 0) return new FirstReading(this.#ledger, head, this.anchors);
    if (!this.derived.checkpoints(this.#offset).some(({ offset }) => offset === after)) return undefined;
    try {
      this.#ledger.import(this.derived.ledger(after));
    } catch {
      // What it would have said is not known; the chains are checked all the same.
    }
    const before = (laneId: number): LaneEnd | undefined => this.#endUpTo(laneId, after);
    return new FirstReading(this.#ledger, head, this.anchors, { after, before });
  }

  #endUpTo(laneId: number, limit: number): LaneEnd | undefined {
    const offset = this.#lanes.lastOffsetUpTo(laneId, limit);
    const place = offset === undefined ? undefined : this.#place.get(offset);
    return place === undefined ? undefined : { laneSeq: place[0], hash: place[1] };
  }

  #end(): [number, string] {
    return this.#newest.get() ?? [0, ''];
  }
}
