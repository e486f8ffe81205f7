/**
 * The promise of how long a session lives. Part of its creation, and of the configuration. State: none.
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
