/** What folding a session's entries leads to, as data: where it stands, what it knows, its chart. State: none. */
import type { SessionState } from './session-state.ts';

/** Where a session stands in its journal lane. */
export interface LanePlace {
  readonly offset: number;
  readonly laneSeq: number;
}

/** What a session is restored from. */
export interface SessionFold extends LanePlace {
  readonly state: SessionState;
  /** The chart with its children, as XState persists it. */
  readonly chart: unknown;
  /** Offsets of the acceptances that wait in the lane. */
  readonly queued: readonly number[];
}
