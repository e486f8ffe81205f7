/**
 * The promise of how long a session lives, part of its creation and of the configuration, and what became of it. State: none.
 */

/** Fixed when the session is created: a server that is configured otherwise later keeps the promise. */
export interface LeasePolicy {
  /** From the creation to the first deadline. */
  readonly baseMs: number;
  /** What one extension adds to the deadline. */
  readonly extensionMs: number;
  readonly extensionsMax: number;
  /** So long before the deadline the end is announced, and activity extends; and at most once in so much time. */
  readonly thresholdMs: number;
}

/** The fold of a session's lifetime. */
export interface Lease {
  readonly policy: LeasePolicy;
  deadlineAt: number;
  extensions: number;
  /** When it was extended last. */
  extendedAt: number | null;
  /** Everybody attached was told of this deadline. */
  announced: boolean;
  /** The session is older than lifetimes are: nobody who made it was told that it ends. */
  inherited: boolean;
}
