/**
 * Drops the oldest entries of lanes, and keeps where each lane begins since then.
 *
 * A slice goes in one transaction with its anchor: at any time the anchor says exactly what is gone. Entries may still be in
 * front of the one that folding begins with; the next run takes them. State: durable.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import type { LaneAnchor } from '../../actors/ports.ts';
import { genesis } from './chain.ts';
import { addSums, sumOf } from './lane-ledger.ts';
import { remainOf } from './remains.ts';
import type { RemainRecord } from './remains.ts';
import { SqliteRemains } from './sqlite-remains.ts';
import type { SqliteLanes } from './sqlite-lanes.ts';

/** Commits wait for a slice. */
export const DROPPED_AT_ONCE = 1_000;

const KIND = 'lane.compacted';

/** lane_seq, at, version, kind, meta, content, hash, fingerprint or '', digest or '' */
type DroppedRow = [number, number, number, EntryKind, string, string, string, string, string];

/** With what the ledger has to know of it. */
export interface StoredAnchor extends LaneAnchor {
  readonly laneId: number;
  readonly sum: number;
}

type AnchorRow = [number, string | null, number, number, number, string, number, number];

const ANCHORS = `SELECT a.lane_id, l.name, a."offset", a.dropped_offset, a.dropped_lane_seq, lower(hex(a.dropped_hash)),
  a.dropped_sum, a.remains FROM anchors a LEFT JOIN lanes l ON l.id = a.lane_id`;

/** Of any connection, also one that only reads; none in a file of a form before. */
export function anchorsOf(database: Database): StoredAnchor[] {
  // Where anchors are of another form, nothing was ever dropped.
  const there = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'remains'`).get();
  if (there === undefined) return [];
  return database.prepare<[], AnchorRow>(ANCHORS).raw().all().map(anchorOf);
}

function anchorOf([
  laneId,
  name,
  offset,
  droppedOffset,
  droppedLaneSeq,
  droppedHash,
  sum,
  remains,
]: AnchorRow): StoredAnchor {
  const lane = name ?? `lane ${laneId}, which is not listed`;
  return { laneId, lane, offset, droppedOffset, droppedLaneSeq, droppedHash, sum, remains };
}

export class SqliteAnchors {
  readonly #database: Database;
  readonly #lanes: SqliteLanes;
  readonly #kindAt: Statement<[number, number], string>;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #row: Statement<[number], DroppedRow>;
  readonly #forget: Statement;
  readonly #remains: SqliteRemains;
  readonly #byLane = new Map<number, StoredAnchor>();
  #lastDropped = 0;

  constructor(database: Database, lanes: SqliteLanes) {
    this.#database = database;
    this.#lanes = lanes;
    this.#kindAt = database
      .prepare<[number, number], string>('SELECT kind FROM entries WHERE "offset" = ? AND lane_id = ?')
      .pluck();
    this.#put = database.prepare('INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, unhex(?), ?, ?)');
    this.#delete = database.prepare('DELETE FROM entries WHERE "offset" = ?');
    this.#row = database
      .prepare<[number], DroppedRow>(
        `SELECT lane_seq, at, version, kind, meta, content, lower(hex(hash)), lower(hex(fingerprint)), lower(hex(digest))
          FROM entries WHERE "offset" = ?`,
      )
      .raw();
    this.#remains = new SqliteRemains(database);
    this.#forget = database.prepare('DELETE FROM snapshots WHERE lane_id = ? AND "offset" <= ?');
    for (const anchor of anchorsOf(database)) this.#note(anchor);
  }

  get all(): readonly StoredAnchor[] {
    return [...this.#byLane.values()];
  }

  of(laneId: number): StoredAnchor | undefined {
    return this.#byLane.get(laneId);
  }

  /** Offset of the newest entry that was ever dropped: behind it none may be missing. */
  get lastDropped(): number {
    return this.#lastDropped;
  }

  /** Of all lanes. */
  get droppedCount(): number {
    let count = 0;
    for (const { droppedLaneSeq } of this.#byLane.values()) count += droppedLaneSeq;
    return count;
  }

  /** One slice. @returns how many entries were dropped; less than `limit` when nothing is left in front of `before`. */
  drop(lane: string, before: number, limit: number): number {
    const laneId = this.#lanes.idOf(lane);
    if (laneId === undefined || this.#kindAt.get(before, laneId) !== KIND)
      throw new Error(`offset ${before} is no ${KIND} entry of ${lane}: nothing was dropped`);
    const known = this.#byLane.get(laneId);
    const offsets = this.#lanes.offsets(laneId, 0, limit).filter((offset) => offset < before);
    const last = offsets.at(-1);
    if (last === undefined) return 0;
    const hashes: string[] = [];
    const remains: RemainRecord[] = [];
    let droppedLaneSeq = known?.droppedLaneSeq ?? 0;
    let droppedHash = known?.droppedHash ?? genesis(lane);
    for (const offset of offsets) {
      const row = this.#row.get(offset);
      if (row?.[0] !== droppedLaneSeq + 1)
        throw new Error(`offset ${offset} does not continue ${lane}: nothing was dropped`);
      const [laneSeq, at, version, kind, meta, content, hash, print, digest] = row;
      const record = { version, offset, lane, laneSeq, at, kind, meta, content };
      const whole = digest === '' ? record : { ...record, digest };
      const remain = remainOf(whole, hash, droppedHash, print === '' ? undefined : print);
      if (remain !== undefined) remains.push(remain);
      droppedLaneSeq = laneSeq;
      droppedHash = hash;
      hashes.push(hash);
    }
    const sum = addSums(known?.sum ?? 0, sumOf(hashes));
    const kept = (known?.remains ?? 0) + remains.length;
    try {
      this.#database
        .transaction(() => {
          this.#forget.run(laneId, last);
          this.#lanes.drop(laneId, last);
          this.#put.run(laneId, before, last, droppedLaneSeq, droppedHash, sum, kept);
          for (const remain of remains) this.#remains.add(laneId, remain);
          for (const offset of offsets) this.#delete.run(offset);
        })
        .immediate();
    } catch (error) {
      this.#lanes.reload();
      throw error;
    }
    this.#note({ laneId, lane, offset: before, droppedOffset: last, droppedLaneSeq, droppedHash, sum, remains: kept });
    return offsets.length;
  }

  get remains(): SqliteRemains {
    return this.#remains;
  }

  /** Forgets the oldest of what remains, a slice of it. */
  trim(max: number, limit: number): number {
    const forgotten = this.#remains.trim(max, limit);
    if (forgotten > 0) for (const anchor of anchorsOf(this.#database)) this.#note(anchor);
    return forgotten;
  }

  #note(anchor: StoredAnchor): void {
    this.#byLane.set(anchor.laneId, anchor);
    this.#lastDropped = Math.max(this.#lastDropped, anchor.droppedOffset);
  }
}
