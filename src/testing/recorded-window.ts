/** A recorded window of a journal, in the form in which it can be run again. Pure data. */
import type { ConfigInput } from '../config.ts';

/** A command as it was received, and what had happened since the one before it. */
export interface RecordedCommand {
  readonly text: string;
  /** The principal; the operator unless told. */
  readonly as?: string;
  /** Milliseconds since the first one. */
  readonly at?: number;
  /** Commands that ended since the last one was sent. */
  readonly ended?: readonly string[];
  /** Sessions whose turn was running, with the number of their events by then. */
  readonly events?: { readonly [sessionId: string]: number };
}

/** A recorded window that can be run again. */
export interface ReplayBundle {
  /** Of the first command; milliseconds since 1970. */
  readonly startAt: number;
  /** Limits and the like, where they are not the default. */
  readonly config?: ConfigInput;
  readonly commands: readonly RecordedCommand[];
  /** Ids of sessions whose client named none, in the order in which they were created. */
  readonly sessionIds?: readonly string[];
  /** What is waited for at the end. */
  readonly ended?: readonly string[];
  /** The clock goes on to here, because what time alone causes came behind all commands. Milliseconds since the first one. */
  readonly endAt?: number;
}
