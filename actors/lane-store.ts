/**
 * The part of the journal's port that is about lanes as a whole: which there are, and what happens to their beginnings. State: none.
 */
import type { StoredEntry } from './entry.ts';

/** Where a lane begins whose older entries were dropped. */
export interface LaneAnchor {
  readonly lane: string;
  /** The `lane.compacted` entry that folding begins with. */
  readonly offset: number;
  /** The newest entry that was dropped. */
  readonly droppedOffset: number;
  /** So many were dropped, from the first one on. */
  readonly droppedLaneSeq: number;
  /** Of the newest entry that was dropped, hex: what is left is chained to it. */
  readonly droppedHash: string;
  /** Of those, something remains of so many. */
  readonly remains: number;
}

/** How much there is. */
export interface JournalSize {
  /** That are in use, of what it takes on its disk. */
  readonly bytes: number;
  /** Entries of dropped commands of which something is kept. */
  readonly remains: number;
}

/**
 * Lanes as a whole. Dropping takes a prefix of a lane and leaves an anchor, from which the rest is read and verified as before. Of
 * the commands in it, acceptances and outcomes remain without content, so that ids and keys are known: `read` finds them too.
 */
export interface LaneStore {
  /** Names of journal lanes behind `after`, in order of names, at most `limit`. */
  lanes(after: string, limit: number): Promise<readonly string[]>;
  /**
   * Drops the entries of a lane in front of its `lane.compacted` entry at offset `before`, for good, a slice at a time and each
   * together with what is known of the lane's beginning. Anything else at that offset drops nothing and rejects. Rejected, it may
   * have done a part, and may be repeated.
   *
   * @returns how many were dropped now.
   */
  drop(lane: string, before: number): Promise<number>;
  /** Lanes whose older entries were dropped. */
  anchors(): Promise<readonly LaneAnchor[]>;
  /** What remains of dropped commands, behind `after`, in order of offsets, at most `limit`. */
  remains(after: number, limit: number): Promise<readonly StoredEntry[]>;
  /** Forgets the oldest of it, so that no more than `max` is left. @returns how many were forgotten. */
  trimRemains(max: number): Promise<number>;
  size(): Promise<JournalSize>;
}
