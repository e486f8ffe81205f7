/**
 * The first reading of a journal from its first entry to its last, which a boot does anyway: it checks on the way that nothing
 * is missing, that every lane is chained, and that a head file knows the same entries. Damage is found before the first
 * command, and not when somebody reads what it took.
 *
 * Pages that do not continue where the last one ended are none of its business. State: volatile, one hash a lane while it
 * lasts.
 */
import { chainHash, genesis } from './chain.ts';
import { JournalDamage } from './damage.ts';
import type { EntryRecord } from './entry.ts';
import type { KnownHead } from './head-files.ts';
import type { LaneLedger } from './lane-ledger.ts';
import { PlaceSums } from './sqlite-lanes.ts';

interface LaneEnd {
  readonly laneSeq: number;
  readonly hash: string;
}

export class FirstReading {
  /** Of all entries that were read. */
  readonly places = new PlaceSums();
  readonly #ledger: LaneLedger;
  readonly #head: KnownHead | undefined;
  readonly #lanes = new Map<number, LaneEnd>();
  #offset = 0;

  constructor(ledger: LaneLedger, head: KnownHead | undefined) {
    this.#ledger = ledger;
    this.#head = head;
  }

  /** Offset of the newest entry that was read. */
  get offset(): number {
    return this.#offset;
  }

  /** The next entry behind `offset`. @throws JournalDamage */
  take(record: EntryRecord, laneId: number, hash: string): void {
    const { lane, laneSeq, offset } = record;
    const before = this.#lanes.get(laneId);
    if (laneSeq !== (before?.laneSeq ?? 0) + 1)
      throw new JournalDamage(offset, `has laneSeq ${laneSeq} behind ${before?.laneSeq ?? 0} in ${lane}`);
    if (chainHash(before?.hash ?? genesis(lane), record) !== hash)
      throw new JournalDamage(
        offset,
        `has a hash that does not follow from what is stored, laneSeq ${laneSeq} of ${lane}`,
      );
    this.#lanes.set(laneId, { laneSeq, hash });
    this.#offset = offset;
    this.places.add(laneId, offset);
    this.#ledger.take(offset, laneId, laneSeq, hash);
    if (offset === this.#head?.offset && this.#ledger.offset === offset) this.#ledger.mustEqual(this.#head);
  }
}
