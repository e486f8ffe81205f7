/**
 * What the runtime counts for those who operate it. On the hot path an addition; a map access only where something was
 * refused or failed. State: volatile, from the start of the process.
 */
import type { ActivityCounts } from './message.ts';

export class Counters implements ActivityCounts {
  admitted = 0;
  requeued = 0;
  succeeded = 0;
  replayed = 0;
  connectionsRefused = 0;
  restarts = 0;
  readonly failed = new Map<string, number>();
  readonly refused = new Map<string, number>();

  countFailed(errorCode: string): void {
    this.failed.set(errorCode, (this.failed.get(errorCode) ?? 0) + 1);
  }

  countRefused(errorCode: string): void {
    this.refused.set(errorCode, (this.refused.get(errorCode) ?? 0) + 1);
  }
}
