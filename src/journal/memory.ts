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
  LaneSnapshot,
  StoredEntry,
} from '../../actors/ports.ts';
import { chainHash, genesis } from './chain.ts';
import { JournalDamage, unreadable } from './damage.ts';
import { commandText, decode, encode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { onDemand } from './entry-on-demand.ts';
import { fingerprint } from './fingerprint.ts';
import { verifyPages } from './verify.ts';

interface Row {
  readonly record: EntryRecord;
  readonly hash: string;
  readonly fingerprint: string | undefined;
}

/** The data of a journal in memory: it outlives the journal, as a directory outlives a process. */
export interface MemoryStore {
  /** The row of offset N has index N - 1. */
  readonly rows: Row[];
  /** Newest row of every journal lane. */
  readonly heads: Map<string, Row>;
  /** By lane. */
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
      const row = rows[index]!;
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
    const row = this.#store.rows[offset - 1];
    return row === undefined ? undefined : stored(row);
  }

  async verify(last: number): Promise<JournalReport> {
    this.#mustBeOpen();
    return verifyPages(async (after, limit) => this.#store.rows.slice(after, after + limit), last);
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

function stored({ record, hash, fingerprint }: Row): StoredEntry {
  const { digest } = record;
  const entry = decode(record);
  return { entry, hash, ...(fingerprint !== undefined && { fingerprint }), ...(digest !== undefined && { digest }) };
}

function storedToFold({ record, hash }: Row): StoredEntry {
  const damaged = (found: EntryRecord, error: unknown): Error =>
    new JournalRefused(`memory: ${unreadable(found, error).message}`);
  return { entry: onDemand(record, damaged), hash };
}
