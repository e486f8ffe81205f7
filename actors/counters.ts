/**
 * What the runtime counts for those who operate it. On the hot path an addition; a map access only where something was
 * refused or failed. State: volatile, from the start of the process.
 */
import type { ActivityCounts, Outcome } from './message.ts';

export class Counters implements ActivityCounts {
  admitted = 0;
  requeued = 0;
  succeeded = 0;
  replayed = 0;
  connectionsRefused = 0;
  restarts = 0;
  /** Of sessions: written, not written, and not taken over by who could have restored from them. */
  readonly snapshots = { kept: 0, failed: 0, unfit: 0 };
  readonly checkpoints = { kept: 0, failed: 0, unfit: 0 };
  readonly failed = new Map<string, number>();
  readonly refused = new Map<string, number>();

  /** An outcome that was counted has turned out not to be one. */
  uncount(outcome: Outcome): void {
    if (outcome.success) {
      this.succeeded -= 1;
      return;
    }
    const count = (this.failed.get(outcome.errorCode) ?? 0) - 1;
    if (count > 0) this.failed.set(outcome.errorCode, count);
    else this.failed.delete(outcome.errorCode);
  }

  count(outcome: Outcome): void {
    if (outcome.success) this.succeeded += 1;
    else this.failed.set(outcome.errorCode, (this.failed.get(outcome.errorCode) ?? 0) + 1);
  }

  countRefused(errorCode: string): void {
    this.refused.set(errorCode, (this.refused.get(errorCode) ?? 0) + 1);
  }
}
