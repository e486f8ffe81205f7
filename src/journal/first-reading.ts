/**
 * The first reading of a journal up to its last entry, which a boot does anyway: it checks on the way that nothing is missing,
 * that every lane is chained, and that a head file knows the same entries. Damage is found before the first command, and not
 * when somebody reads what it took.
 *
 * A boot from a checkpoint reads only what lies behind it: then every lane that is met must go on where it ended when the
 * checkpoint was made, by the journal's own ledger of then. Pages that do not continue where the last one ended are none of
 * its business. State: volatile, one hash a lane while it lasts.
 */
import { chainHash, genesis } from './chain.ts';
import { JournalDamage } from './damage.ts';
import type { EntryRecord } from './entry.ts';
import type { KnownHead } from './head-files.ts';
import type { LaneLedger } from './lane-ledger.ts';
import type { StoredAnchor } from './sqlite-anchors.ts';
import { PlaceSums } from './sqlite-lanes.ts';

export interface LaneEnd {
  readonly laneSeq: number;
  readonly hash: string;
}

/** What was dropped of the journal. */
export interface Dropped {
  readonly all: readonly StoredAnchor[];
  readonly lastDropped: number;
  readonly droppedCount: number;
  of(laneId: number): StoredAnchor | undefined;
}

/** Where a reading begins that does not begin with the first entry. */
export interface ReadingStart {
  readonly after: number;
  /** The lane's newest entry up to there. */
  before(laneId: number): LaneEnd | undefined;
}

export class FirstReading {
  /** Of all entries that were read. */
  readonly places = new PlaceSums();
  readonly #ledger: LaneLedger;
  readonly #head: KnownHead | undefined;
  readonly #lanes = new Map<number, LaneEnd>();
  readonly #start: ReadingStart | undefined;
  readonly #dropped: Dropped;
  #missing = 0;
  /** Up to here the ledger was counted by an earlier server. */
  readonly #countedTo: number;
  #isCompared = false;
  #offset: number;

  constructor(ledger: LaneLedger, head: KnownHead | undefined, dropped: Dropped, start?: ReadingStart) {
    this.#ledger = ledger;
    this.#dropped = dropped;
    // What was dropped since it was written is in no sum of then.
    this.#head = head !== undefined && head.offset >= dropped.lastDropped ? head : undefined;
    this.#start = start;
    this.#offset = start?.after ?? 0;
    // One that stayed behind the checkpoint knows nothing of where lanes ended there.
    this.#countedTo = start === undefined || ledger.offset < start.after ? 0 : ledger.offset;
    if (start === undefined) ledger.begin(dropped.all);
  }

  /** It began with the first entry. */
  get isWhole(): boolean {
    return this.#start === undefined;
  }

  /** Offset of the newest entry that was read. */
  get offset(): number {
    return this.#offset;
  }

  /** The next entry behind `offset`. @throws JournalDamage */
  take(record: EntryRecord, laneId: number, hash: string): void {
    const { lane, laneSeq, offset } = record;
    if (offset > this.#countedTo) this.#compare();
    const before = this.#lanes.get(laneId) ?? this.#endBefore(laneId, offset);
    if (laneSeq !== (before?.laneSeq ?? 0) + 1)
      throw new JournalDamage(offset, `has laneSeq ${laneSeq} behind ${before?.laneSeq ?? 0} in ${lane}`);
    if (chainHash(before?.hash ?? genesis(lane), record) !== hash)
      throw new JournalDamage(
        offset,
        `has a hash that does not follow from what is stored, laneSeq ${laneSeq} of ${lane}`,
      );
    this.#lanes.set(laneId, { laneSeq, hash });
    this.#missing += offset - this.#offset - 1;
    if (this.#ledger.offset === this.#offset) this.#ledger.pass(offset - 1);
    this.#offset = offset;
    this.places.add(laneId, offset);
    this.#ledger.take(offset, laneId, laneSeq, hash);
    if (offset === this.#head?.offset && this.#ledger.offset === offset) this.#ledger.mustEqual(this.#head);
  }

  /** There is nothing behind it. @throws JournalDamage */
  finish(): void {
    this.#compare();
    const { droppedCount } = this.#dropped;
    if (this.isWhole && this.#missing !== droppedCount)
      throw new JournalDamage(
        this.#offset,
        `ends a journal in which ${this.#missing} entries are missing, and ${droppedCount} were dropped`,
      );
  }

  #endBefore(laneId: number, offset: number): LaneEnd | undefined {
    const end = this.#start?.before(laneId);
    const anchor = end === undefined ? this.#dropped.of(laneId) : undefined;
    if (anchor !== undefined) return { laneSeq: anchor.droppedLaneSeq, hash: anchor.droppedHash };
    if (end !== undefined && this.#countedTo > 0 && offset > this.#countedTo) this.#mustEnd(laneId, end);
    return end;
  }

  /** The lanes that were met while the ledger was behind them end where it ends. */
  #compare(): void {
    if (this.#isCompared) return;
    this.#isCompared = true;
    if (this.#countedTo === 0) return;
    for (const [laneId, end] of this.#lanes) {
      // Of what was dropped nothing can be met.
      if ((this.#dropped.of(laneId)?.droppedOffset ?? 0) < this.#countedTo) this.#mustEnd(laneId, end);
    }
  }

  #mustEnd(laneId: number, { laneSeq, hash }: LaneEnd): void {
    if (this.#ledger.endsWith(laneId, laneSeq, hash)) return;
    throw new JournalDamage(
      this.#countedTo,
      `ends a journal in which lane ${laneId} is not as the checkpoint knows it`,
    );
  }
}
