/**
 * Anchors, held against what a verification reads: a lane begins behind what was dropped of it, as many entries are missing as
 * were dropped and no more, and each anchor points to the entry that folding begins with. State: volatile.
 */
import type { JournalProblem } from '../../actors/entry.ts';
import type { LaneAnchor } from '../../actors/ports.ts';
import type { EntryRecord } from './entry.ts';

type Place = Omit<JournalProblem, 'problem'>;

export class VerifyAnchors {
  readonly #report: (place: Place, problem: string) => void;
  #byLane = new Map<string, LaneAnchor>();
  readonly #met = new Set<string>();
  readonly #remains = new Map<string, number>();
  #lastDropped = 0;
  #dropped = 0;
  #missing = 0;
  #firstMissing = 0;

  constructor(report: (place: Place, problem: string) => void) {
    this.#report = report;
  }

  get counts(): { readonly anchors: number; readonly droppedEntries: number; readonly remains: number } {
    let remains = 0;
    for (const count of this.#remains.values()) remains += count;
    return { anchors: this.#byLane.size, droppedEntries: this.#dropped, remains };
  }

  begin(anchors: readonly LaneAnchor[]): void {
    this.#byLane = new Map(anchors.map((anchor) => [anchor.lane, anchor]));
    for (const { lane, offset, droppedOffset, droppedLaneSeq } of anchors) {
      this.#dropped += droppedLaneSeq;
      this.#lastDropped = Math.max(this.#lastDropped, droppedOffset);
      if (droppedOffset >= offset)
        this.#report({ lane, offset }, `is an anchor behind which offset ${droppedOffset} was dropped`);
    }
  }

  /** What is left of a dropped command. */
  remain({ lane, laneSeq, offset }: EntryRecord): void {
    const { droppedOffset = 0, droppedLaneSeq = 0 } = this.#byLane.get(lane) ?? {};
    if (offset > droppedOffset || laneSeq > droppedLaneSeq)
      this.#report({ lane, laneSeq, offset }, 'remains of a dropped command, and was not dropped');
    this.#remains.set(lane, (this.#remains.get(lane) ?? 0) + 1);
  }

  of(lane: string): LaneAnchor | undefined {
    return this.#byLane.get(lane);
  }

  /** True when they may be among what was dropped: how many were is counted. */
  mayBeMissing(first: number, last: number): boolean {
    if (last < first || last > this.#lastDropped) return false;
    this.#missing += last - first + 1;
    this.#firstMissing ||= first;
    return true;
  }

  /** False for an entry that is left of what was being dropped: what it refers to may be gone. */
  take({ lane, laneSeq, offset, kind }: EntryRecord): boolean {
    const anchor = this.#byLane.get(lane);
    if (anchor === undefined || offset > anchor.offset) return true;
    if (offset < anchor.offset) return false;
    this.#met.add(lane);
    if (kind !== 'lane.compacted') this.#report({ lane, laneSeq, offset }, `is an anchor of its lane, and a ${kind}`);
    return true;
  }

  end(): void {
    for (const { lane, offset, remains } of this.#byLane.values()) {
      if (!this.#met.has(lane)) this.#report({ lane, offset }, 'is an anchor of this lane, and no entry of it');
      const left = this.#remains.get(lane) ?? 0;
      if (left !== remains)
        this.#report({ lane, offset }, `is an anchor of ${remains} commands that remain, of which ${left} are there`);
    }
    if (this.#missing === this.#dropped) return;
    const text = `${this.#missing} entries are missing from here on, and ${this.#dropped} were dropped`;
    this.#report({ offset: this.#firstMissing }, text);
  }
}
