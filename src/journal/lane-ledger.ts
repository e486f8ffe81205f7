/**
 * Where every journal lane ends, and one sum over all hashes: what a head file keeps, so that a later start can tell whether
 * it has the same journal before it. Sixteen bytes a lane, and a tenth of a microsecond an entry.
 *
 * It counts entries one after the other from the first one on, whoever brings them: the first reading of the journal, then
 * the appends. Whoever comes out of turn is not counted, and the ledger stays behind. State: rebuildable.
 */
import { JournalDamage } from './damage.ts';

/** By the number that the lane has in the file: its newest laneSeq, and the first 48 bits of that entry's hash. */
export type LaneEnds = readonly (readonly [laneSeq: number, mark: number])[];

export interface LedgerTotals {
  /** Sum of the first 48 bits of all hashes, modulo 2^48. `null`: not all entries were counted. */
  readonly digest: number | null;
  /** `null`: not looked up. */
  readonly lanes: LaneEnds | null;
}

/** What was dropped of a lane: its newest entry, and the sum over all hashes. */
export interface LaneBeginning {
  readonly laneId: number;
  readonly droppedLaneSeq: number;
  readonly droppedHash: string;
  readonly sum: number;
}

const MARK_DIGITS = 12;
const MODULUS = 2 ** 48;

export class LaneLedger {
  readonly #laneSeqs: number[] = [];
  readonly #marks: number[] = [];
  #digest = 0;
  #offset = 0;
  #begun = false;

  /** Of the newest entry that is counted. */
  get offset(): number {
    return this.#offset;
  }

  take(offset: number, laneId: number, laneSeq: number, hash: string): void {
    if (offset !== this.#offset + 1) return;
    const mark = markOf(hash);
    this.#offset = offset;
    this.#digest = (this.#digest + mark) % MODULUS;
    this.#end(laneId, laneSeq, mark);
  }

  #end(laneId: number, laneSeq: number, mark: number): void {
    while (this.#laneSeqs.length < laneId) {
      this.#laneSeqs.push(0);
      this.#marks.push(0);
    }
    this.#laneSeqs[laneId - 1] = laneSeq;
    this.#marks[laneId - 1] = mark;
  }

  /** Entries at the beginning of these lanes were dropped: they stay in the sum. Once, before anything is counted. */
  begin(anchors: readonly LaneBeginning[]): void {
    if (this.#begun || this.#offset > 0) return;
    this.#begun = true;
    for (const { laneId, droppedLaneSeq, droppedHash, sum } of anchors) {
      this.#digest = (this.#digest + sum) % MODULUS;
      this.#end(laneId, droppedLaneSeq, markOf(droppedHash));
    }
  }

  /** Up to here nothing is left to be counted: what was there was dropped. */
  pass(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  /** What was counted, for a ledger that goes on from here. */
  export(): Uint8Array {
    const numbers = new Float64Array(2 + 2 * this.#laneSeqs.length);
    numbers[0] = this.#offset;
    numbers[1] = this.#digest;
    this.#laneSeqs.forEach((laneSeq, index) => {
      numbers[2 + 2 * index] = laneSeq;
      numbers[3 + 2 * index] = this.#marks[index] ?? 0;
    });
    return new Uint8Array(numbers.buffer);
  }

  /** Goes on from what another one counted; only as long as it has counted nothing itself. */
  import(bytes: Uint8Array): void {
    if (this.#offset > 0) return;
    const numbers = new Float64Array(bytes.slice().buffer);
    this.#offset = numbers[0] ?? 0;
    this.#digest = numbers[1] ?? 0;
    for (let index = 2; index + 1 < numbers.length; index += 2) {
      this.#laneSeqs.push(numbers[index] ?? 0);
      this.#marks.push(numbers[index + 1] ?? 0);
    }
  }

  /** The entry with this hash is where the lane ended when that was counted. */
  endsWith(laneId: number, laneSeq: number, hash: string): boolean {
    return this.#laneSeqs[laneId - 1] === laneSeq && this.#marks[laneId - 1] === markOf(hash);
  }

  totals(withLanes: boolean): LedgerTotals {
    const lanes = (laneSeq: number, index: number) => [laneSeq, this.#marks[index] ?? 0] as const;
    return { digest: this.#digest, lanes: withLanes ? this.#laneSeqs.map(lanes) : null };
  }

  /** @throws JournalDamage when a head file knew other entries up to here. */
  mustEqual(known: LedgerTotals): void {
    for (const [index, [laneSeq, mark]] of (known.lanes ?? []).entries()) {
      if (this.#laneSeqs[index] === laneSeq && this.#marks[index] === mark) continue;
      throw new JournalDamage(
        this.#offset,
        `ends a journal in which lane ${index + 1} is not as journal.head knows it`,
      );
    }
    if (known.digest !== null && known.digest !== this.#digest)
      throw new JournalDamage(this.#offset, 'ends a journal of other entries than journal.head knows');
  }
}

/** What the ledger's sum has of these hashes. */
export function sumOf(hashes: Iterable<string>): number {
  let sum = 0;
  for (const hash of hashes) sum = (sum + markOf(hash)) % MODULUS;
  return sum;
}

export function addSums(one: number, other: number): number {
  return (one + other) % MODULUS;
}

function markOf(hash: string): number {
  return Number.parseInt(hash.slice(0, MARK_DIGITS), 16);
}
