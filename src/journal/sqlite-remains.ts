/**
 * What is left of dropped commands (see remains.ts), in a table of its own: the lanes hold entries alone. State: durable, and
 * bounded by who trims it.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryKind } from '../../actors/entry.ts';
import type { RemainRecord } from './remains.ts';

/** offset, lane's name, lane_seq, at, version, kind, meta, content, hash, fingerprint or '', digest, previous */
type Row = [number, string, number, number, number, EntryKind, string, string, string, string, string, string];

const ROWS = `SELECT r."offset", l.name, r.lane_seq, r.at, r.version, r.kind, r.meta, r.content, lower(hex(r.hash)),
  lower(hex(r.fingerprint)), lower(hex(r.digest)), lower(hex(r.previous))
  FROM remains r JOIN lanes l ON l.id = r.lane_id WHERE r."offset" > ? ORDER BY r."offset" LIMIT ?`;

/** Of any connection, also one that only reads; none in a file of the form before. */
export function remainsOf(database: Database): ((after: number, limit: number) => RemainRecord[]) | undefined {
  const there = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'remains'`).get();
  if (there === undefined) return undefined;
  const rows = database.prepare<[number, number], Row>(ROWS).raw();
  return (after, limit) => rows.all(after, limit).map(remainFrom);
}

function remainFrom(row: Row): RemainRecord {
  const [offset, lane, laneSeq, at, version, kind, meta, content, hash, print, digest, previous] = row;
  const record = { version, offset, lane, laneSeq, at, kind, meta, content, digest };
  return { record, hash, fingerprint: print === '' ? undefined : print, previous };
}

export class SqliteRemains {
  readonly #database: Database;
  readonly #rows: (after: number, limit: number) => RemainRecord[];
  readonly #insert: Statement;
  readonly #count: Statement<[], number>;

  constructor(database: Database) {
    this.#database = database;
    this.#rows = remainsOf(database) ?? (() => []);
    this.#insert = database.prepare(
      'INSERT INTO remains VALUES (?, ?, ?, ?, ?, ?, ?, ?, unhex(?), unhex(?), unhex(?), unhex(?))',
    );
    this.#count = database.prepare<[], number>('SELECT count(*) FROM remains').pluck();
  }

  get count(): number {
    return this.#count.get() ?? 0;
  }

  page(after: number, limit: number): RemainRecord[] {
    return this.#rows(after, limit);
  }

  /** Inside the transaction that drops its entry. */
  add(laneId: number, { record, hash, fingerprint, previous }: RemainRecord): void {
    const { offset, laneSeq, at, version, kind, meta, content, digest } = record;
    const print = fingerprint ?? null;
    this.#insert.run(offset, laneId, laneSeq, at, version, kind, meta, content, hash, print, digest, previous);
  }

  /** The oldest go, at most `limit` of them, and their anchors count what is left. One transaction. */
  trim(max: number, limit: number): number {
    const surplus = Math.min(limit, this.count - max);
    if (surplus <= 0) return 0;
    return this.#database
      .transaction(() => {
        const oldest = `SELECT "offset" FROM remains ORDER BY "offset" LIMIT ${surplus}`;
        this.#database.exec(`UPDATE anchors SET remains = remains -
          (SELECT count(*) FROM remains r WHERE r.lane_id = anchors.lane_id AND r."offset" IN (${oldest}))
          WHERE lane_id IN (SELECT lane_id FROM remains WHERE "offset" IN (${oldest}))`);
        return this.#database.prepare(`DELETE FROM remains WHERE "offset" IN (${oldest})`).run().changes;
      })
      .immediate();
  }
}
