/**
 * A journal in memory, for tests and for servers that may forget. It keeps every promise of the port but durability: it
 * stores entries in the same form as the durable ones and chains them, so that nothing works here alone.
 *
 * The data is a `MemoryStore` beside the journal, as a directory is beside the process: a second journal on the same store
 * is a second server on the same data. State: volatile.
 */
import type { Entry, EntryRange, JournalReport } from '../../actors/entry.ts';
import { BackupFailed, JournalRefused } from '../../actors/ports.ts';
import { blankRecord } from './blanking.ts';
import type {
  Blanked,
  BlankRange,
  CheckpointHead,
  Journal,
  JournalBackup,
  JournalHead,
  JournalSize,
  LaneAnchor,
  LaneSnapshot,
  StoredEntry,
} from '../../actors/ports.ts';
import { chainHash, genesis } from './chain.ts';
import { JournalDamage, unreadable } from './damage.ts';
import { commandText, decode, encode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { onDemand } from './entry-on-demand.ts';
import { fingerprint } from './fingerprint.ts';
import { remainOf } from './remains.ts';
import type { RemainRecord } from './remains.ts';
import { verifyPages } from './verify.ts';

interface Row {
  readonly record: EntryRecord;
  readonly hash: string;
  readonly fingerprint: string | undefined;
}

/** The data of a journal in memory: it outlives the journal, as a directory outlives a process. */
export interface MemoryStore {
  /** The row of offset N has index N - 1; nothing is there once it was dropped. */
  readonly rows: (Row | undefined)[];
  /** Newest row of every journal lane. */
  readonly heads: Map<string, Row>;
  /** By lane. */
  readonly anchors: Map<string, LaneAnchor>;
  /** By offset, ascending. */
  readonly remains: Map<number, RemainRecord>;
  readonly snapshots: Map<string, LaneSnapshot>;
  /** Sealed, the newest first; and the parts of all, by offset and number. */
  checkpoints: CheckpointHead[];
  readonly parts: Map<string, Uint8Array>;
  /** The journal that has it open. */
  owner: Journal | undefined;
}

/** Makes data without entries. */
export function createMemoryStore(): MemoryStore {
  return {
    rows: [],
    heads: new Map(),
    anchors: new Map(),
    remains: new Map(),
    snapshots: new Map(),
    checkpoints: [],
    parts: new Map(),
    owner: undefined,
  };
}

/** Which data, and when commits happen. */
export interface MemoryJournalOptions {
  readonly store?: MemoryStore;
  /** When commits happen: each append asks once. Microtasks unless told otherwise. */
  readonly defer?: (commit: () => void) => void;
}

/** Makes a journal on data of its own unless told otherwise. */
export function createMemoryJournal(options: MemoryJournalOptions = {}): Journal {
  return new MemoryJournal(options.store ?? createMemoryStore(), options.defer ?? queueMicrotask);
}

interface Batch {
  /** Or why there are none. */
  readonly records: readonly EntryRecord[] | Error;
  readonly done: (error?: Error) => void;
}

/** Beside its texts. */
const ROW_BYTES = 100;

class MemoryJournal implements Journal {
  readonly durability = 'volatile';
  readonly location = 'memory';
  readonly #store: MemoryStore;
  readonly #defer: (commit: () => void) => void;
  #waiting: Batch[] = [];
  #failure: Error | undefined;

  constructor(store: MemoryStore, defer: (commit: () => void) => void) {
    this.#store = store;
    this.#defer = defer;
  }

  async open(): Promise<JournalHead> {
    const store = this.#store;
    const reopens = store.owner === this && this.#failure !== undefined;
    if (store.owner !== undefined && !reopens)
      throw new JournalRefused('memory: in use by another server; close it first');
    this.#commitAll();
    store.owner = this;
    this.#failure = undefined;
    return { offset: store.rows.length };
  }

  append(entries: readonly Entry[], done: (error?: Error) => void): void {
    this.#waiting.push({ records: recordsOf(entries), done });
    this.#defer(() => this.#commitNext());
  }

  async scan(range: EntryRange): Promise<StoredEntry[]> {
    this.#mustBeOpen();
    const show = range.toFold === true ? storedToFold : stored;
    const found: StoredEntry[] = [];
    const { rows } = this.#store;
    for (let index = Math.max(0, range.after); index < rows.length && found.length < range.limit; index += 1) {
      const row = rows[index];
      if (row !== undefined && (range.lane === undefined || row.record.lane === range.lane)) found.push(show(row));
    }
    return found;
  }

  async head(lane: string): Promise<number> {
    this.#mustBeOpen();
    return this.#store.heads.get(lane)?.record.laneSeq ?? 0;
  }

  async blank(range: BlankRange): Promise<Blanked> {
    this.#mustBeOpen();
    const { rows, heads } = this.#store;
    let entries = 0;
    for (let index = 0; index < Math.min(rows.length, range.through); index += 1) {
      const row = rows[index];
      if (row === undefined) continue;
      const { record } = row;
      if (record.digest !== undefined || (range.lane !== undefined && record.lane !== range.lane)) continue;
      const blank = blankRecord(record, range);
      if (blank === undefined) continue;
      const { content, digest, fingerprint } = blank;
      const left: Row = { ...row, record: { ...record, content, digest }, fingerprint: fingerprint ?? undefined };
      rows[index] = left;
      if (heads.get(record.lane) === row) heads.set(record.lane, left);
      this.#store.snapshots.delete(record.lane);
      this.#store.checkpoints = [];
      entries += 1;
    }
    return { entries, erased: true };
  }

  async read(offset: number): Promise<StoredEntry | undefined> {
    this.#mustBeOpen();
    const row = this.#store.rows[offset - 1] ?? this.#store.remains.get(offset);
    return row === undefined ? undefined : stored(row);
  }

  async verify(last: number): Promise<JournalReport> {
    this.#mustBeOpen();
    const { rows } = this.#store;
    const read = async (after: number, limit: number): Promise<Row[]> => {
      const found: Row[] = [];
      for (let index = after; index < rows.length && found.length < limit; index += 1) {
        const row = rows[index];
        if (row !== undefined) found.push(row);
      }
      return found;
    };
    return verifyPages(
      {
        read,
        anchors: () => this.anchors(),
        remains: async (after, limit) => {
          const rest = [...this.#store.remains.values()];
          return rest.filter(({ record }) => record.offset > after).slice(0, limit);
        },
      },
      last,
    );
  }

  async lanes(after: string, limit: number): Promise<readonly string[]> {
    this.#mustBeOpen();
    const names = [...this.#store.heads.keys()].filter((name) => name > after);
    return names.sort((one, other) => (one < other ? -1 : 1)).slice(0, limit);
  }

  async anchors(): Promise<readonly LaneAnchor[]> {
    this.#mustBeOpen();
    return [...this.#store.anchors.values()];
  }

  async drop(lane: string, before: number): Promise<number> {
    this.#mustBeOpen();
    const { anchors, rows, snapshots } = this.#store;
    const base = rows[before - 1]?.record;
    if (base?.lane !== lane || base.kind !== 'lane.compacted')
      throw new Error(`offset ${before} is no lane.compacted entry of ${lane}: nothing was dropped`);
    const found = [...this.#store.remains];
    let dropped = 0;
    for (let index = 0; index < before - 1; index += 1) {
      const row = rows[index];
      if (row?.record.lane !== lane) continue;
      const { offset: droppedOffset, laneSeq: droppedLaneSeq } = row.record;
      const { droppedHash: previous = genesis(lane), remains: kept = 0 } = anchors.get(lane) ?? {};
      const remain = remainOf(row.record, row.hash, previous, row.fingerprint);
      if (remain !== undefined) found.push([droppedOffset, remain]);
      const remains = kept + (remain === undefined ? 0 : 1);
      anchors.set(lane, { lane, offset: before, droppedOffset, droppedLaneSeq, droppedHash: row.hash, remains });
      rows[index] = undefined;
      dropped += 1;
    }
    if ((snapshots.get(lane)?.offset ?? before) < before) snapshots.delete(lane);
    this.#store.remains.clear();
    for (const [offset, remain] of found.sort(([one], [other]) => one - other)) this.#store.remains.set(offset, remain);
    return dropped;
  }

  async remains(after: number, limit: number): Promise<readonly StoredEntry[]> {
    this.#mustBeOpen();
    const found = [...this.#store.remains.values()].filter(({ record }) => record.offset > after);
    return found.slice(0, limit).map(stored);
  }

  async trimRemains(max: number): Promise<number> {
    this.#mustBeOpen();
    const { anchors, remains } = this.#store;
    const surplus = [...remains.values()].slice(0, Math.max(0, remains.size - max));
    for (const { record } of surplus) {
      remains.delete(record.offset);
      const anchor = anchors.get(record.lane)!;
      anchors.set(record.lane, { ...anchor, remains: anchor.remains - 1 });
    }
    return surplus.length;
  }

  async size(): Promise<JournalSize> {
    this.#mustBeOpen();
    const { remains, rows } = this.#store;
    let bytes = 0;
    for (const row of [...rows, ...remains.values()])
      if (row !== undefined) bytes += ROW_BYTES + row.record.meta.length + row.record.content.length;
    return { bytes, remains: remains.size };
  }

  async backup(): Promise<JournalBackup> {
    throw new BackupFailed('a journal in memory has no backups');
  }

  keepSnapshot(snapshot: LaneSnapshot, failed: (error: Error) => void): void {
    this.#defer(() => {
      if (this.#failure === undefined && this.#store.owner === this) this.#store.snapshots.set(snapshot.lane, snapshot);
      else failed(this.#failure ?? new Error('memory: the journal is not open'));
    });
  }

  async snapshot(lane: string): Promise<LaneSnapshot | undefined> {
    this.#mustBeOpen();
    const found = this.#store.snapshots.get(lane);
    if (found === undefined || this.#store.rows[found.offset - 1]?.record.lane === lane) return found;
    throw new JournalDamage(found.offset, `has a snapshot of ${lane}, and is not in it`);
  }

  async keepPart(offset: number, part: number, bytes: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    if (this.#failure !== undefined) throw this.#failure;
    this.#store.parts.set(`${offset}:${part}`, bytes.slice());
  }

  async sealCheckpoint(head: CheckpointHead): Promise<void> {
    this.#mustBeOpen();
    if (this.#failure !== undefined) throw this.#failure;
    const store = this.#store;
    store.checkpoints = [head, ...store.checkpoints.filter(({ offset }) => offset !== head.offset)].slice(0, 2);
    const kept = new Set(store.checkpoints.map(({ offset }) => offset));
    for (const key of store.parts.keys()) if (!kept.has(Number(key.split(':')[0]))) store.parts.delete(key);
  }

  async checkpoints(): Promise<readonly CheckpointHead[]> {
    this.#mustBeOpen();
    return this.#store.checkpoints.filter(({ offset }) => offset <= this.#store.rows.length);
  }

  async checkpointPart(offset: number, part: number): Promise<Uint8Array> {
    this.#mustBeOpen();
    const found = this.#store.parts.get(`${offset}:${part}`);
    if (found === undefined) throw new JournalDamage(offset, `has a checkpoint without part ${part}`);
    return found;
  }

  async close(): Promise<void> {
    this.#commitAll();
    if (this.#store.owner === this) this.#store.owner = undefined;
  }

  #mustBeOpen(): void {
    if (this.#store.owner !== this) throw new Error('memory: the journal is not open');
  }

  #commitAll(): void {
    while (this.#waiting.length > 0) this.#commitNext();
  }

  #commitNext(): void {
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      if (batch.records instanceof Error) throw batch.records;
      this.#mustBeOpen();
      this.#commit(batch.records);
    } catch (error) {
      this.#failure ??= error as Error;
      batch.done(this.#failure);
      return;
    }
    batch.done();
  }

  /** Builds all rows before it stores the first one: a batch that does not fit leaves nothing behind. */
  #commit(records: readonly EntryRecord[]): void {
    const { rows, heads } = this.#store;
    const added = new Map<string, Row>();
    const next: Row[] = [];
    for (const record of records) {
      const before = added.get(record.lane) ?? heads.get(record.lane);
      const offset = rows.length + next.length + 1;
      const laneSeq = (before?.record.laneSeq ?? 0) + 1;
      if (record.offset !== offset || record.laneSeq !== laneSeq) {
        throw new Error(
          `memory: offset ${record.offset}, laneSeq ${record.laneSeq} of ${record.lane} does not continue the journal, ` +
            `which goes on with offset ${offset}, laneSeq ${laneSeq}`,
        );
      }
      const command = commandText(record.content);
      const row: Row = {
        record,
        hash: chainHash(before?.hash ?? genesis(record.lane), record),
        fingerprint: command === undefined ? undefined : (printIn(record.meta) ?? fingerprint(command)),
      };
      added.set(record.lane, row);
      next.push(row);
    }
    rows.push(...next);
    for (const [lane, row] of added) heads.set(lane, row);
  }
}

/** An entry that can't be written down fails its batch when its turn comes, not before. */
function recordsOf(entries: readonly Entry[]): EntryRecord[] | Error {
  try {
    return entries.map(encode);
  } catch (error) {
    return error as Error;
  }
}

/** Of a command whose text lost something before it was stored. */
function printIn(meta: string): string | undefined {
  return (JSON.parse(meta) as { fingerprint?: string }).fingerprint;
}

function stored({ record, hash, fingerprint }: Pick<Row, 'record' | 'hash' | 'fingerprint'>): StoredEntry {
  const { digest } = record;
  const entry = decode(record);
  return { entry, hash, ...(fingerprint !== undefined && { fingerprint }), ...(digest !== undefined && { digest }) };
}

function storedToFold({ record, hash }: Row): StoredEntry {
  const damaged = (found: EntryRecord, error: unknown): Error =>
    new JournalRefused(`memory: ${unreadable(found, error).message}`);
  return { entry: onDemand(record, damaged), hash };
}
