/**
 * Removes what people and engines said from entries that are stored, and from the file: a freed byte is overwritten
 * (`secure_delete`), and what the log still has of it goes when it is started anew. State: none of its own.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import type { BlankRange } from '../../actors/ports.ts';
import { blankRecord } from './blanking.ts';
import { quote } from '../protocol/quote.ts';
import type { SqliteLanes } from './sqlite-lanes.ts';

/** A part of a range, and where the next one goes on. */
export interface BlankPage extends BlankRange {
  /** Behind this offset. */
  readonly after: number;
}

export interface BlankedPage {
  readonly entries: number;
  /** `undefined`: that was the last one. */
  readonly next: number | undefined;
}

/** A page ends at the first of the two: commits wait for it. */
const SCANNED_MAX = 2_000;
const CHARS_MAX = 4 * 1024 * 1024;
/** Another program may be reading the file for a moment; commits wait meanwhile. */
const ERASE_WAIT_MS = 250;

type Row = [laneId: number, kind: EntryKind, meta: string, content: string, hasPrint: number];

export class SqliteBlanking {
  readonly #database: Database;
  readonly #lanes: SqliteLanes;
  readonly #row: Statement<[number], Row>;
  readonly #update: Statement;
  readonly #dropSnapshot: Statement;
  readonly #dropCheckpoints: Statement;

  constructor(database: Database, lanes: SqliteLanes) {
    this.#database = database;
    this.#lanes = lanes;
    this.#row = database
      .prepare<[number], Row>(
        `SELECT lane_id, kind, meta, content, fingerprint IS NOT NULL FROM entries WHERE "offset" = ? AND digest IS NULL`,
      )
      .raw();
    this.#update = database.prepare(
      `UPDATE entries SET content = ?, digest = unhex(?), fingerprint = coalesce(fingerprint, unhex(?)) WHERE "offset" = ?`,
    );
    this.#dropSnapshot = database.prepare('DELETE FROM snapshots WHERE lane_id = ?');
    this.#dropCheckpoints = database.prepare('DELETE FROM checkpoints');
  }

  /** One transaction. @param newest offset of the newest entry. */
  page(range: BlankPage, newest: number): BlankedPage {
    return this.#database.transaction(() => this.#page(range, Math.min(newest, range.through)))();
  }

  /** False when another program reads the log: what was removed may lie in it until it is started anew. */
  erase(busyTimeoutMs: number): boolean {
    try {
      this.#database.pragma(`busy_timeout = ${ERASE_WAIT_MS}`);
      const [found] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
      return found?.busy === 0;
    } finally {
      this.#database.pragma(`busy_timeout = ${busyTimeoutMs}`);
    }
  }

  #page(range: BlankPage, through: number): BlankedPage {
    const { after, lane } = range;
    const laneId = lane === undefined ? undefined : this.#lanes.idOf(lane);
    if (lane !== undefined && laneId === undefined) return { entries: 0, next: undefined };
    const touched = new Set<number>(laneId === undefined ? [] : [laneId]);
    let entries = 0;
    let chars = 0;
    let last = after;
    for (const offset of this.#offsets(laneId, after, through)) {
      last = offset;
      const row = this.#row.get(offset);
      if (row === undefined || !mayBeAbout(row[2], range.sessionId)) continue;
      const [rowLane, kind, meta, content] = row;
      const blank = blankRecord({ kind, meta, content }, range);
      chars += content.length;
      if (blank !== undefined) {
        this.#update.run(blank.content, blank.digest, row[4] === 1 ? null : blank.fingerprint, offset);
        touched.add(rowLane);
        entries += 1;
      }
      if (chars > CHARS_MAX) break;
    }
    // What was folded from the content holds it as well, and is folded again.
    for (const id of touched) this.#dropSnapshot.run(id);
    if (touched.size > 0) this.#dropCheckpoints.run();
    return { entries, next: last === after || last >= through ? undefined : last };
  }

  *#offsets(laneId: number | undefined, after: number, through: number): Generator<number> {
    if (laneId !== undefined) {
      for (const offset of this.#lanes.offsets(laneId, after, SCANNED_MAX)) if (offset <= through) yield offset;
      return;
    }
    const end = Math.min(through, after + SCANNED_MAX);
    for (let offset = after + 1; offset <= end; offset += 1) yield offset;
  }
}

/** Spares parsing what does not even name the session. */
function mayBeAbout(meta: string, sessionId: string | undefined): boolean {
  return sessionId === undefined || meta.includes(quote(sessionId));
}
