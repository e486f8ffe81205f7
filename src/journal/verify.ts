/**
 * Checks a journal as anyone can, from its stored rows alone: places without gaps, hash chains, and what the entries say.
 *
 * Rows come in order of offsets and are looked at once. A row that is wrong is named and the check goes on behind it with what
 * is stored, so that one damaged row is one finding and not a thousand. What it can't see is a tail that is missing whole:
 * everything in front of it fits. State: volatile; it grows with the number of lanes, of open commands, and of ids up to
 * `idsMax`.
 */
import type { JournalProblem, JournalReport } from '../../actors/entry.ts';
import { chainHash, genesis } from './chain.ts';
import { decode } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import type { RemainRecord } from './remains.ts';
import { residueOf } from './residue.ts';
import type { LaneAnchor } from '../../actors/ports.ts';
import { VerifyAnchors } from './verify-anchors.ts';
import { EntryAudit } from './verify-entries.ts';

export interface StoredRecord {
  readonly record: EntryRecord;
  /** Hex. */
  readonly hash: string;
}

export interface VerifyOptions {
  /** So many ids are remembered, oldest out first: what the server remembers as well (`idempotency.entriesMax`). */
  readonly idsMax: number;
}

/** More are counted and not listed. */
const PROBLEMS_MAX = 1_000;

interface LaneHead {
  readonly laneSeq: number;
  readonly hash: string;
}

export class Verification {
  readonly #lanes = new Map<string, LaneHead>();
  readonly #problems: JournalProblem[] = [];
  readonly #audit: EntryAudit;
  readonly #anchors = new VerifyAnchors((place, text) => this.report(place, text, 'anchors'));
  readonly #wrong = { entries: 0, anchors: 0, remains: 0 };
  #blankedCount = 0;
  #count = 0;
  #entries = 0;
  #offset = 0;

  constructor(options: VerifyOptions) {
    this.#audit = new EntryAudit(options.idsMax, (place, text) => this.report(place, text));
  }

  /** Lanes begin there; before the first row is taken. */
  begin(anchors: readonly LaneAnchor[]): void {
    this.#anchors.begin(anchors);
  }

  /** Entries that were looked at. */
  get entries(): number {
    return this.#entries;
  }

  get problemCount(): number {
    return this.#count;
  }

  /** Journal lanes of the sessions that exist behind what was taken. */
  get sessionLanes(): Iterable<string> {
    return this.#audit.sessionLanes;
  }

  /** Of the newest row. */
  get offset(): number {
    return this.#offset;
  }

  take({ record, hash }: StoredRecord): void {
    this.#entries += 1;
    this.#place(record);
    this.#chain(record, hash);
    this.#blanked(record);
    if (!this.#anchors.take(record)) return this.#audit.passGap(record.offset, record.offset);
    try {
      this.#audit.take(decode(record), this.#anchors.of(record.lane)?.offset === record.offset);
    } catch (error) {
      const { offset, lane, laneSeq } = record;
      this.report({ lane, laneSeq, offset }, `does not read as a ${record.kind}: ${(error as Error).message}`);
    }
  }

  /** What is left of a dropped command: it is chained to a hash that only it knows. */
  takeRemain({ record, hash, previous }: RemainRecord): void {
    const { offset, lane, laneSeq } = record;
    this.#anchors.remain(record);
    if (chainHash(previous, record) !== hash)
      this.report(
        { lane, laneSeq, offset },
        'remains of a dropped command, and is not what was written of it',
        'remains',
      );
    this.#saysNoMore(record, 'remains of a dropped command, and says more than that leaves', 'remains');
  }

  /** A row, or a range of them, that could not be read. */
  unreadable(offset: number, why: string): void {
    this.#offset = Math.max(this.#offset, offset);
    this.report({ offset }, `can't be read: ${why}`);
  }

  report(
    place: Omit<JournalProblem, 'problem'>,
    problem: string,
    part: keyof JournalReport['checks'] = 'entries',
  ): void {
    this.#count += 1;
    this.#wrong[part] += 1;
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push({ ...place, problem });
  }

  end(): JournalReport {
    this.#anchors.end();
    const { anchors, remains } = this.#anchors.counts;
    return {
      checks: {
        entries: { checked: this.#entries, wrong: this.#wrong.entries },
        anchors: { checked: anchors, wrong: this.#wrong.anchors },
        remains: { checked: remains, wrong: this.#wrong.remains },
      },
      ok: this.#count === 0,
      entries: this.#entries,
      lanes: this.#lanes.size,
      ...this.#audit.counts,
      lastOffset: this.#offset,
      ...this.#anchors.counts,
      blankedEntries: this.#blankedCount,
      problemCount: this.#count,
      problems: this.#problems,
    };
  }

  #place({ offset, lane, laneSeq }: EntryRecord): void {
    const missing = this.#offset + 1;
    if (offset !== missing && !this.#anchors.mayBeMissing(missing, offset - 1)) {
      const last = offset - 1;
      const which = missing === last ? `offset ${missing} is missing` : `offsets ${missing} to ${last} are missing`;
      this.report({ offset: missing }, offset > missing ? which : `offset ${offset} comes after ${this.#offset}`);
    }
    if (offset > missing) this.#audit.passGap(missing, offset - 1);
    this.#offset = offset;
    const before = this.#lanes.get(lane)?.laneSeq ?? this.#anchors.of(lane)?.droppedLaneSeq ?? 0;
    if (laneSeq !== before + 1) this.report({ lane, laneSeq, offset }, `follows laneSeq ${before} in its lane`);
  }

  /** Under a digest anything could stand: it must be what blanking leaves. */
  #blanked(record: EntryRecord): void {
    if (record.digest === undefined) return;
    this.#blankedCount += 1;
    this.#saysNoMore(record, 'was blanked and says more than that leaves');
  }

  #saysNoMore(
    { offset, lane, laneSeq, kind, content }: EntryRecord,
    otherwise: string,
    part: keyof JournalReport['checks'] = 'entries',
  ): void {
    let left: string | undefined;
    try {
      left = residueOf(kind, content);
    } catch {
      // That it does not read is told by who decodes it.
      return;
    }
    if (left !== content) this.report({ lane, laneSeq, offset }, otherwise, part);
  }

  #chain(record: EntryRecord, hash: string): void {
    const { offset, lane, laneSeq } = record;
    const previous = this.#lanes.get(lane)?.hash ?? this.#anchors.of(lane)?.droppedHash ?? genesis(lane);
    if (chainHash(previous, record) !== hash)
      this.report({ lane, laneSeq, offset }, 'its hash does not follow from what is stored');
    this.#lanes.set(lane, { laneSeq, hash });
  }
}

/** Rows behind `after`, ascending; an empty page is the end. */
type ReadRows = (after: number, limit: number) => Promise<readonly StoredRecord[]>;

/** A journal as it is stored. */
export interface VerifySource {
  readonly read: ReadRows;
  readonly anchors: () => Promise<readonly LaneAnchor[]>;
  /** What is left of dropped commands, behind an offset; an empty page is the end. */
  readonly remains: (after: number, limit: number) => Promise<readonly RemainRecord[]>;
}

/** What one turn of the event loop has time for. */
const PAGE_ENTRIES = 128;
/** Looked at again when entries were dropped meanwhile. */
const TRIES_MAX = 5;
/** Fewer than a server remembers: beside its own index there is no room for another one. */
const LIVE_IDS_MAX = 100_000;

/** Beside a running server: page by page up to `last`, so that others get their turn. Rows that can't be read are passed over. */
export async function verifyPages(source: VerifySource, last: number): Promise<JournalReport> {
  for (let tries = 1; ; tries += 1) {
    const before = await source.anchors();
    const verification = new Verification({ idsMax: LIVE_IDS_MAX });
    verification.begin(before);
    const report = await verifyOnce(source, last, verification);
    if (report.ok || tries >= TRIES_MAX) return report;
    // What was dropped meanwhile looks like damage.
    if (JSON.stringify(await source.anchors()) === JSON.stringify(before)) return report;
  }
}

async function verifyOnce(
  { read, remains }: VerifySource,
  last: number,
  verification: Verification,
): Promise<JournalReport> {
  for (let after = 0; ;) {
    const page = await remains(after, PAGE_ENTRIES);
    for (const remain of page) verification.takeRemain(remain);
    const end = page.at(-1);
    if (end === undefined) break;
    after = end.record.offset;
  }
  for (let after = 0; after < last;) {
    const limit = Math.min(PAGE_ENTRIES, last - after);
    const page = await read(after, limit).catch(() => undefined);
    if (page === undefined) {
      after = await verifySingly(read, after, limit, verification);
      continue;
    }
    if (page.length === 0) break;
    for (const row of page) verification.take(row);
    after = Math.max(after + page.length, verification.offset);
    if (after > last) break;
  }
  return verification.end();
}

/** One row at a time, to find the one that can't be read. */
async function verifySingly(read: ReadRows, from: number, count: number, verification: Verification): Promise<number> {
  for (let after = from; after < from + count; after += 1) {
    const row = await read(after, 1).catch((error: unknown) => error as Error);
    if (row instanceof Error) verification.unreadable(after + 1, row.message);
    // Where a row is missing the next one comes, which belongs to a later step.
    else if (row[0]?.record.offset === after + 1) verification.take(row[0]);
  }
  return from + count;
}
