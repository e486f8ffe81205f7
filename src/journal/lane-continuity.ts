/**
 * Notices a hole in a lane while its entries are read: where one is missing, what is folded behind it would be another session.
 *
 * A reader that begins somewhere in the middle is believed its first entry; from there on, and over pages that follow each
 * other, numbers of a lane have no gap. State: volatile.
 */
import { JournalDamage } from './damage.ts';

/** Where an entry lies. */
export interface LanePlace {
  readonly laneId: number;
  readonly laneSeq: number;
  readonly offset: number;
}

export interface KnownLanes {
  nameOf(laneId: number): string;
  /** Number of the first entry that is there: compaction drops those before it. */
  firstOf(laneId: number): number;
}

export class LaneContinuity {
  readonly #known: KnownLanes;
  /** Of pages of one lane: the last entry of each lane that was read. */
  readonly #ofLane = new Map<number, LanePlace>();
  /** Of pages of all lanes: the number of the last entry of each. */
  #ofAll = new Map<number, number>();
  #allFromStart = false;
  #allReached = 0;

  constructor(known: KnownLanes) {
    this.#known = known;
  }

  /** A page of one lane, read behind the offset `after`. @throws JournalDamage */
  lane(laneId: number, after: number, page: readonly Pick<LanePlace, 'laneSeq' | 'offset'>[]): void {
    const last = page.at(-1);
    if (last === undefined) return;
    const known = this.#ofLane.get(laneId);
    let before = after === 0 ? this.#known.firstOf(laneId) - 1 : known?.offset === after ? known.laneSeq : undefined;
    for (const { laneSeq, offset } of page) {
      if (before !== undefined && laneSeq !== before + 1) this.#mustFollow(before, { laneId, laneSeq, offset });
      before = laneSeq;
    }
    this.#ofLane.set(laneId, { laneId, laneSeq: last.laneSeq, offset: last.offset });
  }

  /** A page of all lanes, read behind the offset `after`. @throws JournalDamage */
  all(after: number, page: readonly LanePlace[]): void {
    if (after === 0 || after !== this.#allReached) {
      this.#ofAll = new Map();
      this.#allFromStart = after === 0;
    }
    for (const place of page) {
      const { laneId, laneSeq, offset } = place;
      const first = this.#allFromStart ? this.#known.firstOf(laneId) - 1 : undefined;
      this.#mustFollow(this.#ofAll.get(laneId) ?? first, place);
      this.#ofAll.set(laneId, laneSeq);
      this.#allReached = offset;
    }
  }

  #mustFollow(before: number | undefined, { laneId, laneSeq, offset }: LanePlace): void {
    if (before === undefined || laneSeq === before + 1) return;
    const lane = this.#known.nameOf(laneId);
    throw new JournalDamage(offset, `is number ${laneSeq} of ${lane}, where number ${before + 1} belongs`);
  }
}
