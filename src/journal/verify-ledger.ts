/**
 * What a head file knows of the lanes, held against what a verification reads. An entry that was changed together with its
 * hash is found by nothing else. State: volatile.
 */
import type { KnownEnds, KnownHead } from './head-files.ts';
import type { StoredAnchor } from './sqlite-anchors.ts';
import { LaneLedger } from './lane-ledger.ts';
import type { StoredRecord, Verification } from './verify.ts';

export interface NumberedRecord extends StoredRecord {
  readonly laneId: number;
}

export class KnownLedger {
  readonly #head: KnownHead | undefined;
  readonly #verification: Verification;
  readonly #ledger = new LaneLedger();
  readonly #lastDropped: number;
  #problem: Error | undefined;

  constructor({ head }: KnownEnds, verification: Verification, anchors: readonly StoredAnchor[] = []) {
    // What was dropped since it was written is in no sum of then.
    this.#head = anchors.some(({ droppedOffset }) => droppedOffset > (head?.offset ?? 0)) ? undefined : head;
    this.#ledger.begin(anchors);
    this.#lastDropped = Math.max(0, ...anchors.map(({ droppedOffset }) => droppedOffset));
    this.#verification = verification;
  }

  take({ record: { offset, laneSeq }, laneId, hash }: NumberedRecord): void {
    if (offset <= this.#lastDropped + 1) this.#ledger.pass(offset - 1);
    this.#ledger.take(offset, laneId, laneSeq, hash);
    if (offset !== this.#head?.offset || this.#ledger.offset !== offset) return;
    try {
      this.#ledger.mustEqual(this.#head);
    } catch (error) {
      this.#problem = error as Error;
    }
  }

  /** Only what no other finding has told. */
  tell(): void {
    if (this.#problem === undefined || this.#verification.problemCount > 0) return;
    this.#verification.report({ offset: this.#ledger.offset }, this.#problem.message);
  }
}
