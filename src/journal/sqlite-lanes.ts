/**
 * Which entries belong to which journal lane.
 *
 * A row in an index per entry would double the cost of a commit: the tails of many lanes lie on as many pages, and each page
 * is written whole. So places are remembered here and written in bulk, sorted by lane; what is not written yet is found
 * again at the end of the entries when the journal is opened. State: durable, and rebuildable where it is not.
 */
import type { Database, Statement } from 'better-sqlite3';

/** So many entries are looked through at most when the journal is opened, and their places written at once. */
const UNWRITTEN_MAX = 4_096;
/** Names beyond that are forgotten, and read again when they are needed. */
const NAMES_MAX = 50_000;

/** Sums over places that differ as soon as one is missing, is there twice, or is another one. */
export class PlaceSums {
  static readonly SQL = `count(*), coalesce(sum("offset"), 0), coalesce(sum(lane_id), 0),
    coalesce(sum(("offset" * 31 + lane_id * 17) % 65521 * (lane_id % 8191 + 1)), 0)`;
  #count = 0;
  #offsets = 0;
  #lanes = 0;
  #pairs = 0;

  add(laneId: number, offset: number, sign = 1): void {
    this.#count += sign;
    this.#offsets += sign * offset;
    this.#lanes += sign * laneId;
    this.#pairs += sign * (((offset * 31 + laneId * 17) % 65_521) * ((laneId % 8_191) + 1));
  }

  remove(laneId: number, offset: number): void {
    this.add(laneId, offset, -1);
  }

  equal(row: readonly number[] | undefined): boolean {
    return [this.#count, this.#offsets, this.#lanes, this.#pairs].every((sum, index) => sum === row?.[index]);
  }
}

export class SqliteLanes {
  readonly #database: Database;
  readonly #insertLane: Statement;
  readonly #selectId: Statement<[string], number>;
  readonly #selectName: Statement<[number], string>;
  readonly #selectLast: Statement<[number], number>;
  readonly #selectLastUpTo: Statement<[number, number], number>;
  readonly #selectOffsets: Statement<[number, number, number], number>;
  readonly #selectEntries: Statement<[], [number, number]>;
  readonly #isWritten: Statement<[number, number], number>;
  readonly #write: Statement;
  readonly #names = new Map<number, string>();
  /** By lane, the offsets whose places are not written yet, ascending. */
  readonly #unwritten = new Map<number, number[]>();
  #unwrittenCount = 0;
  /** Places up to this offset are written. */
  #writtenTo = 0;

  constructor(database: Database) {
    this.#database = database;
    this.#insertLane = database.prepare('INSERT INTO lanes (name) VALUES (?)');
    this.#selectId = database.prepare<[string], number>('SELECT id FROM lanes WHERE name = ?').pluck();
    this.#selectName = database.prepare<[number], string>('SELECT name FROM lanes WHERE id = ?').pluck();
    this.#selectLast = database
      .prepare<[number], number>('SELECT "offset" FROM places WHERE lane_id = ? ORDER BY "offset" DESC LIMIT 1')
      .pluck();
    this.#selectLastUpTo = database
      .prepare<[number, number], number>(
        'SELECT "offset" FROM places WHERE lane_id = ? AND "offset" <= ? ORDER BY "offset" DESC LIMIT 1',
      )
      .pluck();
    const offsets = 'SELECT "offset" FROM places WHERE lane_id = ? AND "offset" > ? ORDER BY "offset" LIMIT ?';
    this.#selectOffsets = database.prepare<[number, number, number], number>(offsets).pluck();
    const newestFirst = 'SELECT "offset", lane_id FROM entries ORDER BY "offset" DESC';
    this.#selectEntries = database.prepare<[], [number, number]>(newestFirst).raw();
    this.#isWritten = database
      .prepare<[number, number], number>('SELECT 1 FROM places WHERE lane_id = ? AND "offset" = ?')
      .pluck();
    this.#write = database.prepare(
      'INSERT INTO places SELECT lane_id, "offset" FROM entries WHERE "offset" > ? ORDER BY lane_id, "offset"',
    );
    this.reload();
  }

  idOf(lane: string): number | undefined {
    return this.#selectId.get(lane);
  }

  add(lane: string): number {
    return Number(this.#insertLane.run(lane).lastInsertRowid);
  }

  nameOf(id: number): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = this.#selectName.get(id);
    if (name === undefined) throw new Error(`an entry belongs to lane ${id}, which is not listed`);
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    this.#names.set(id, name);
    return name;
  }

  /** The entry at `offset`, newer than all before it, belongs to the lane. */
  place(id: number, offset: number): void {
    const offsets = this.#unwritten.get(id);
    if (offsets === undefined) this.#unwritten.set(id, [offset]);
    else offsets.push(offset);
    this.#unwrittenCount += 1;
  }

  /** Inside the transaction that stores the entries. */
  writeIfDue(): void {
    if (this.#unwrittenCount < UNWRITTEN_MAX) return;
    this.#write.run(this.#writtenTo);
    for (const offsets of this.#unwritten.values()) this.#writtenTo = Math.max(this.#writtenTo, offsets.at(-1) ?? 0);
    this.#unwritten.clear();
    this.#unwrittenCount = 0;
  }

  /** Names behind `after`, in order. */
  names(after: string, limit: number): string[] {
    return this.#database
      .prepare<[string, number], string>('SELECT name FROM lanes WHERE name > ? ORDER BY name LIMIT ?')
      .pluck()
      .all(after, limit);
  }

  /** Inside the transaction that drops the lane's entries up to this offset, and before it does. */
  drop(id: number, through: number): void {
    this.#database.prepare('DELETE FROM places WHERE lane_id = ? AND "offset" <= ?').run(id, through);
    const offsets = this.#unwritten.get(id);
    if (offsets === undefined) return;
    const left = offsets.filter((offset) => offset > through);
    this.#unwrittenCount -= offsets.length - left.length;
    this.#unwritten.set(id, left);
  }

  lastOffset(id: number): number | undefined {
    return this.#unwritten.get(id)?.at(-1) ?? this.#selectLast.get(id);
  }

  /** The newest one up to `limit`. */
  lastOffsetUpTo(id: number, limit: number): number | undefined {
    return this.#unwritten.get(id)?.findLast((offset) => offset <= limit) ?? this.#selectLastUpTo.get(id, limit);
  }

  /** The first `limit` offsets of the lane behind `after`, ascending. */
  offsets(id: number, after: number, limit: number): number[] {
    const found = this.#selectOffsets.all(id, after, limit);
    const newer = this.#unwritten.get(id)?.filter((offset) => offset > after) ?? [];
    return [...found, ...newer.slice(0, limit - found.length)];
  }

  /**
   * The places that are written are those of `entries`, which are all there are, or written anew: they say nothing that the
   * entries do not say.
   *
   * @throws what SQLite finds wrong with them.
   */
  mustFit(entries: PlaceSums): void {
    for (const [id, offsets] of this.#unwritten) for (const offset of offsets) entries.remove(id, offset);
    const found = this.#database.prepare<[], number[]>(`SELECT ${PlaceSums.SQL} FROM places`).raw().get();
    if (entries.equal(found)) return;
    this.#database.transaction(() => {
      this.#database.exec('DELETE FROM places');
      this.#write.run(0);
    })();
    this.reload();
  }

  /** Forgets what it remembers, and finds out again: a transaction was taken back. */
  reload(): void {
    this.#names.clear();
    this.#unwritten.clear();
    this.#unwrittenCount = 0;
    this.#writtenTo = 0;
    const newestFirst: [number, number][] = [];
    for (const [offset, id] of this.#selectEntries.iterate()) {
      if (this.#isWritten.get(id, offset) !== undefined) {
        this.#writtenTo = offset;
        break;
      }
      newestFirst.push([offset, id]);
    }
    for (const [offset, id] of newestFirst.reverse()) this.place(id, offset);
  }
}
