/**
 * The durable journal: SQLite in a thread of its own, with a write-ahead log that is synced before a batch is done.
 *
 * This side runs on the event loop. It encodes batches, hands them over without waiting, and decodes pages. State: volatile
 * here, durable in the data directory.
 */
import { join, resolve } from 'node:path';
import type { Entry, EntryRange, JournalReport } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
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
import { DROPPED_AT_ONCE } from './sqlite-anchors.ts';
import { unreadable } from './damage.ts';
import { decode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { onDemand } from './entry-on-demand.ts';
import { fingerprint } from './fingerprint.ts';
import type { RemainRecord } from './remains.ts';
import { Backups } from './sqlite-backups.ts';
import { claimDirectory } from './sqlite-directory.ts';
import type { DirectoryClaim } from './sqlite-directory.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { JournalThread } from './sqlite-thread.ts';
import { HASH_CHARS, HASHES, lastOffset, packedCount, unpack } from './sqlite-wire.ts';
import type { PackedPage, ScanRange } from './sqlite-wire.ts';
import { verifyPages } from './verify.ts';
import type { StoredRecord } from './verify.ts';

/** Where the journal is kept. */
export interface SqliteJournalOptions {
  /** Made if it is missing. */
  readonly dataDir: string;
  readonly backups?: {
    /** `DATA_DIR/backups` unless told otherwise. */
    readonly dir?: string;
    readonly keep: number;
    /** So many ids are remembered while a copy is verified. */
    readonly idsMax: number;
  };
}

const BACKUPS = { keep: 7, idsMax: 1_000_000 };

/** Makes the journal of a data directory; `open` makes the directory if it is missing. */
export function createSqliteJournal(options: SqliteJournalOptions): Journal {
  return new SqliteJournal(resolve(options.dataDir), { ...BACKUPS, ...options.backups });
}

class SqliteJournal implements Journal {
  readonly durability = 'durable';
  readonly location: string;
  readonly #dataDir: string;
  #claim: DirectoryClaim | undefined;
  #thread: JournalThread | undefined;
  #reopening: Promise<JournalHead> | undefined;
  /** The next page of who reads all: the thread reads it while the event loop is busy with the one before. */
  #ahead: { readonly range: ScanRange; readonly page: Promise<PackedPage> } | undefined;

  #tellGone: ((error: Error) => void) | undefined;

  readonly #backups = new Backups();
  readonly #backupOptions: NonNullable<SqliteJournalOptions['backups']>;

  constructor(dataDir: string, backups: NonNullable<SqliteJournalOptions['backups']>) {
    this.#dataDir = dataDir;
    this.#backupOptions = backups;
    this.location = join(dataDir, 'journal.db');
  }

  async open(): Promise<JournalHead> {
    const failed = this.#thread;
    if (failed?.failed === true) {
      this.#reopening ??= this.#openAgain(failed).finally(() => {
        this.#reopening = undefined;
      });
      return this.#reopening;
    }
    if (failed !== undefined) throw new JournalRefused(`${this.#dataDir} is open here already: close it first`);
    this.#claim = claimDirectory(this.#dataDir);
    const thread = new JournalThread(this.#claim.journalPath, (error) => this.#tellGone?.(error));
    this.#thread = thread;
    try {
      return { offset: await thread.opened };
    } catch (error) {
      // A refused directory is free again only when the thread let go of it.
      await this.close();
      throw error;
    }
  }

  watch(gone: (error: Error) => void): void {
    this.#tellGone = gone;
  }

  append(entries: readonly Entry[], done: (error?: Error) => void): void {
    if (this.#thread !== undefined) this.#thread.append(entries, done);
    else queueMicrotask(() => done(new Error('the journal is not open')));
  }

  async scan({ after, limit, lane, toFold }: EntryRange): Promise<StoredEntry[]> {
    const page = await this.#page({ after, limit, lane });
    try {
      return toFold === true ? this.#entriesToFold(page) : storedEntries(page);
    } catch (error) {
      throw refusalOf(this.location, error);
    }
  }

  async head(lane: string): Promise<number> {
    return (await this.#open().head(lane)).laneSeq;
  }

  async read(offset: number): Promise<StoredEntry | undefined> {
    const [found] = await this.scan({ after: offset - 1, limit: 1 });
    if (found?.entry.offset === offset) return found;
    const [remain] = await this.remains(offset - 1, 1);
    return remain?.entry.offset === offset ? remain : undefined;
  }

  async blank(range: BlankRange): Promise<Blanked> {
    const thread = this.#open();
    let entries = 0;
    for (let after: number | undefined = 0; after !== undefined;) {
      // What was read ahead shows what is being removed.
      this.#ahead = undefined;
      const page = await thread.blank({ ...range, after });
      entries += page.entries;
      after = page.next;
    }
    this.#ahead = undefined;
    return { entries, erased: await thread.erase() };
  }

  verify(last: number): Promise<JournalReport> {
    const thread = this.#open();
    const read = async (after: number, limit: number): Promise<StoredRecord[]> =>
      storedRecords(await thread.scan({ after, limit, lane: undefined }));
    return verifyPages(
      { read, anchors: () => this.anchors(), remains: (after, limit) => this.#remains(after, limit) },
      last,
    );
  }

  async lanes(after: string, limit: number): Promise<readonly string[]> {
    return this.#open().derived({ type: 'lanes', after, limit });
  }

  async anchors(): Promise<readonly LaneAnchor[]> {
    return this.#open().derived({ type: 'anchors' });
  }

  async remains(after: number, limit: number): Promise<readonly StoredEntry[]> {
    return (await this.#remains(after, limit)).map(remaining);
  }

  async trimRemains(max: number): Promise<number> {
    let forgotten = 0;
    for (let slice = DROPPED_AT_ONCE; slice === DROPPED_AT_ONCE; forgotten += slice)
      slice = await this.#open().derived<number>({ type: 'trim', max, limit: DROPPED_AT_ONCE });
    return forgotten;
  }

  async size(): Promise<JournalSize> {
    return this.#open().derived({ type: 'size' });
  }

  #remains(after: number, limit: number): Promise<readonly RemainRecord[]> {
    return this.#open().derived({ type: 'remains', after, limit });
  }

  async drop(lane: string, before: number): Promise<number> {
    let dropped = 0;
    for (let slice = DROPPED_AT_ONCE; slice === DROPPED_AT_ONCE; dropped += slice) {
      // What was read ahead shows what is being dropped.
      this.#ahead = undefined;
      slice = await this.#open().derived<number>({ type: 'drop', lane, before, limit: DROPPED_AT_ONCE });
    }
    this.#ahead = undefined;
    return dropped;
  }

  async backup(at: number): Promise<JournalBackup> {
    this.#open();
    const { dir = join(this.#dataDir, 'backups'), keep, idsMax } = this.#backupOptions;
    return this.#backups.make({ dataDir: this.#dataDir, dir: resolve(dir), keep, idsMax, at });
  }

  keepSnapshot(snapshot: LaneSnapshot, failed: (error: Error) => void): void {
    if (this.#thread !== undefined) this.#thread.keepSnapshot(snapshot, failed);
    else queueMicrotask(() => failed(new Error('the journal is not open')));
  }

  async snapshot(lane: string): Promise<LaneSnapshot | undefined> {
    return this.#open().derived({ type: 'snapshot', lane });
  }

  async keepPart(offset: number, part: number, bytes: Uint8Array): Promise<void> {
    return this.#open().derived({ type: 'keepPart', offset, part, bytes });
  }

  async sealCheckpoint(head: CheckpointHead): Promise<void> {
    return this.#open().derived({ type: 'seal', ...head });
  }

  async checkpoints(): Promise<readonly CheckpointHead[]> {
    return this.#open().derived({ type: 'checkpoints' });
  }

  async checkpointPart(offset: number, part: number): Promise<Uint8Array> {
    return this.#open().derived({ type: 'part', offset, part });
  }

  async close(): Promise<void> {
    // First of all: as long as it reads, the log can't be taken over into the file.
    if (this.#backups.busy) await this.#backups.stop();
    if (this.#reopening !== undefined) await this.#reopening.catch(() => undefined);
    const thread = this.#thread;
    this.#ahead = undefined;
    await thread?.close();
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#claim?.release();
    this.#claim = undefined;
  }

  /** The directory stays claimed by this process, whatever becomes of the thread. */
  async #openAgain(failed: JournalThread): Promise<JournalHead> {
    // Read by a thread that may be gone.
    this.#ahead = undefined;
    if (!failed.gone) {
      try {
        return { offset: await failed.reopen() };
      } catch (error) {
        if (!failed.gone) throw error;
      }
    }
    // It may be committing still, and lets go of the file last of all.
    await failed.ended;
    const thread = new JournalThread(this.location, (error) => this.#tellGone?.(error));
    try {
      const offset = await thread.opened;
      this.#thread = thread;
      return { offset };
    } catch (error) {
      await thread.close();
      if (error instanceof JournalRefused) throw error;
      throw new JournalRefused(refusals.noThread(this.location, (error as Error).message), { cause: error });
    }
  }

  #entriesToFold(page: PackedPage): StoredEntry[] {
    // Told as the refusal that it is: it may show when the page was handed over long ago.
    const damaged = (record: EntryRecord, error: unknown): Error => refusalOf(this.location, unreadable(record, error));
    return storedRecords(page).map(({ record, hash }) => ({ entry: onDemand(record, damaged), hash }));
  }

  async #page(range: ScanRange): Promise<PackedPage> {
    const thread = this.#open();
    const ahead = this.#ahead;
    this.#ahead = undefined;
    let page = sameRange(ahead?.range, range) ? await ahead?.page : undefined;
    // Read ahead, the end is the end of then: something may have been appended since.
    if (page === undefined || packedCount(page) === 0) page = await thread.scan(range);
    const count = packedCount(page);
    // A page that is not empty and shorter than asked for was cut, or is the last one: whoever reads all comes back.
    if (count > 0 && count < range.limit) this.#readAhead(thread, { ...range, after: lastOffset(page) });
    return page;
  }

  #readAhead(thread: JournalThread, range: ScanRange): void {
    const page = thread.scan(range);
    page.catch(() => undefined);
    this.#ahead = { range, page };
  }

  #open(): JournalThread {
    if (this.#thread === undefined) throw new Error('the journal is not open');
    return this.#thread;
  }
}

function sameRange(a: ScanRange | undefined, b: ScanRange): boolean {
  return a?.after === b.after && a.limit === b.limit && a.lane === b.lane;
}

function storedEntries(page: PackedPage): StoredEntry[] {
  return unpack(page).map((record, index) => {
    const [hash, print, digest] = hashesOf(page, index);
    if (digest !== undefined) {
      const entry = readable({ ...record, digest });
      return print === undefined ? { entry, hash, digest } : { entry, hash, fingerprint: print, digest };
    }
    const entry = readable(record);
    return print === undefined ? fingerprinted(entry, hash) : { entry, hash, fingerprint: print };
  });
}

function storedRecords(page: PackedPage): StoredRecord[] {
  return unpack(page).map((record, index) => {
    const [hash, , digest] = hashesOf(page, index);
    return { record: digest === undefined ? record : { ...record, digest }, hash };
  });
}

/** Its own, its fingerprint and its content's digest, where there are any. */
function hashesOf(page: PackedPage, index: number): [string, string | undefined, string | undefined] {
  const at = index * HASHES * HASH_CHARS;
  const hashAt = (nth: number): string => page.hashes.slice(at + nth * HASH_CHARS, at + (nth + 1) * HASH_CHARS);
  const [print, digest] = [hashAt(1), hashAt(2)];
  return [hashAt(0), print.startsWith(' ') ? undefined : print, digest.startsWith(' ') ? undefined : digest];
}

function remaining({ record, hash, fingerprint: print }: RemainRecord): StoredEntry {
  const { digest = '' } = record;
  return { entry: readable(record), hash, digest, ...(print !== undefined && { fingerprint: print }) };
}

function readable(record: EntryRecord): Entry {
  try {
    return decode(record);
  } catch (error) {
    throw unreadable(record, error);
  }
}

/** The fingerprint of a command costs more than reading its entry, and is computed for the one that asks. */
function fingerprinted(entry: Entry, hash: string): StoredEntry {
  const { content } = entry;
  if (!('command' in content)) return { entry, hash };
  if ('fingerprint' in entry) return { entry, hash, fingerprint: entry.fingerprint };
  return {
    entry,
    hash,
    get fingerprint() {
      return fingerprint(content.command);
    },
  };
}
