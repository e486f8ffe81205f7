import type { LeasePolicy } from './session/lease-policy.ts';

/** Every maximum and every wait of the runtime, with its unit in the name. Values come from the configuration. */
export interface Limits {
  readonly sessionsMax: number;
  readonly connectionsMax: number;
  /** Commands of one session that are admitted and not settled. */
  readonly mailboxDepthMax: number;
  /** Commands of one connection that are admitted and not answered; control commands are exempt. */
  readonly pendingMax: number;
  /** Messages that wait in a session for its next turn. */
  readonly queuedMessagesMax: number;
  /** Unfinished assistant text that is kept for those who attach in the middle. */
  readonly partialTextBytesMax: number;
  /** Bytes that wait for one connection before its events stop (`session_lagging`). */
  readonly outgoingBytesMax: number;
  /** Bytes that wait for one connection before it is closed, responses included. */
  readonly outgoingBytesCloseMax: number;
  readonly subscriptionsMax: number;
  readonly shortMs: number;
  readonly longMs: number;
  readonly dependencyMs: number;
  readonly drainMs: number;
  /** A client that can be pinged is asked for a sign of life this often, and is gone after so long without one. */
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly idempotencyEntriesMax: number;
  readonly idempotencyCacheBytesMax: number;
  /** How long a session lives, if its creator does not choose otherwise. */
  readonly lease: LeasePolicy;
  readonly requeue: boolean;
  /** Every read leaves an entry. */
  readonly auditReads: boolean;
  /** Tries of a command that fails its session, or the process, whenever it acts. */
  readonly attemptsMax: number;
  /** Entries of a session's journal lane before it is kept as a snapshot. */
  readonly snapshotEvery: number;
  /** Entries before all that a boot needs is kept as a checkpoint. */
  readonly checkpointEvery: number;
  /** A session that nobody used for so long leaves memory. */
  readonly passivationIdleMs: number;
}
