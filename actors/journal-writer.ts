/**
 * The only writer of the journal: gives entries their place, collects those of one tick in a batch (group commit) and tells
 * the release queue when a batch is durable. After a failed batch it is done with: what follows is recorded by another writer,
 * behind what the journal then says it holds. State: rebuildable.
 */
import type { Entry, EntryDraft } from './entry.ts';
import type { Clock, Journal, Redaction } from './ports.ts';
import type { ReleaseQueue } from './release-queue.ts';

/**
 * Batches under way at once. Each tick hands over its own, and the journal commits all that wait with one sync: held back here,
 * an entry would miss the next commit and wait for the one after it. The bound is on what piles up before a disk that hangs.
 */
const BATCHES_UNDER_WAY_MAX = 64;

type Place = { -readonly [Field in 'offset' | 'lane' | 'laneSeq' | 'at']: Entry[Field] };

export class JournalWriter {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #releases: ReleaseQueue;
  readonly #onFailure: (error: Error) => void;
  readonly #redaction: Redaction | undefined;
  /** Last laneSeq of every journal lane that is in use. */
  readonly #lanes = new Map<string, number>();
  #offset = 0;
  #resumedAt = 0;
  #durableOffset = 0;
  #open: Entry[] = [];
  #openBatch = 1;
  #underWay = 0;
  /** Tells batches of before a failure from those after it. */
  #run = 0;
  #scheduled = false;
  #failure: Error | undefined;
  #closed = false;
  #idle: (() => void)[] = [];
  /** Commands without an outcome: offsets of their acceptances, and attempts that were started. */
  readonly open = new Map<number, number>();
  /** Outcomes, those before `resume` included. */
  outcomes = 0;
  /** Hears how far everything is durable, with each batch. */
  onDurable: ((offset: number) => void) | undefined;

  /** @param redaction what is stored is what it leaves; the entries that were recorded stay as they are. */
  constructor(
    journal: Journal,
    clock: Clock,
    releases: ReleaseQueue,
    onFailure: (error: Error) => void,
    redaction?: Redaction,
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.#releases = releases;
    this.#onFailure = onFailure;
    this.#redaction = redaction;
  }

  /** False once an append failed: nothing that changes anything may be admitted. */
  get writable(): boolean {
    return this.#failure === undefined;
  }

  /** Number of the newest batch that holds or held an entry. What shows all that is recorded waits for it. */
  get newestBatch(): number {
    return this.#open.length > 0 ? this.#openBatch : this.#openBatch - 1;
  }

  /** Offset of the newest entry, durable or not. */
  get offset(): number {
    return this.#offset;
  }

  /** Offset of the newest entry that is known to be durable. */
  get durableOffset(): number {
    return this.#durableOffset;
  }

  /** Entries that were recorded since `resume`. */
  get entryCount(): number {
    return this.#offset - this.#resumedAt;
  }

  get laneCount(): number {
    return this.#lanes.size;
  }

  /** Continues behind what the journal holds, also after a failure. */
  resume(
    offset: number,
    lanes: Iterable<readonly [string, number]>,
    open: Iterable<readonly [number, number]> = [],
    outcomes = 0,
  ): void {
    this.#failure = undefined;
    this.#open = [];
    this.#openBatch = this.#releases.durable + 1;
    this.#underWay = 0;
    this.#run += 1;
    this.#lanes.clear();
    this.#offset = offset;
    this.#resumedAt = offset;
    this.#durableOffset = offset;
    for (const [lane, laneSeq] of lanes) this.#lanes.set(lane, laneSeq);
    this.open.clear();
    for (const [accepted, attempts] of open) this.open.set(accepted, attempts);
    this.outcomes = outcomes;
  }

  knows(lane: string): boolean {
    return this.#lanes.has(lane);
  }

  adopt(lane: string, laneSeq: number): void {
    this.#lanes.set(lane, laneSeq);
  }

  /** Where a lane that is known ends, durable or not. */
  laneSeq(lane: string): number | undefined {
    return this.#lanes.get(lane);
  }

  /**
   * The lane's session is gone for good, and the lane is durable up to `laneSeq`. A later session of the same name continues
   * the chain where the journal says; one that was there meanwhile has entries that the journal can't know yet.
   */
  forget(lane: string, laneSeq: number): void {
    if (this.#lanes.get(lane) === laneSeq) this.#lanes.delete(lane);
  }

  /**
   * Puts a fact into the open batch; `newestBatch` is its number until the next entry of another batch. The draft itself
   * becomes the entry: copying it would cost more than all the rest here.
   */
  append(lane: string, draft: EntryDraft, at = this.#clock.now()): Entry {
    const laneSeq = (this.#lanes.get(lane) ?? 0) + 1;
    this.#lanes.set(lane, laneSeq);
    this.#offset += 1;
    const entry = draft as EntryDraft & Place;
    entry.offset = this.#offset;
    entry.lane = lane;
    entry.laneSeq = laneSeq;
    entry.at = at;
    if (draft.kind === 'command.settled') this.outcomes += 1;
    else this.#follow(entry);
    if (this.#closed) return entry;
    this.#open.push(entry);
    this.#schedule();
    return entry;
  }

  #follow(entry: Entry): void {
    if (entry.kind === 'command.accepted') this.open.set(entry.offset, 0);
    else if (entry.kind === 'command.started') this.open.set(entry.acceptedOffset, entry.attempt);
    else if (entry.kind === 'command.finished') {
      this.outcomes += 1;
      this.open.delete(entry.acceptedOffset);
    }
  }

  /** Nothing more is recorded: what an engine still says after the end is said to nobody. */
  close(): void {
    this.#closed = true;
  }

  /** Resolves once nothing is open or under way; rejects when the journal failed. */
  settled(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#open.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#idle.push(() => (this.#failure === undefined ? resolve() : reject(this.#failure)));
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#underWay >= BATCHES_UNDER_WAY_MAX) return;
    this.#scheduled = true;
    this.#clock.defer(() => {
      this.#scheduled = false;
      this.#handOver();
    });
  }

  #handOver(): void {
    if (this.#open.length === 0 || this.#failure !== undefined) return;
    const redaction = this.#redaction;
    const entries = redaction === undefined ? this.#open : this.#open.map((entry) => redaction.entry(entry));
    const batch = this.#openBatch;
    this.#open = [];
    this.#openBatch += 1;
    this.#underWay += 1;
    const lastOffset = entries.at(-1)!.offset;
    const run = this.#run;
    this.#journal.append(entries, (error) => {
      if (run === this.#run) this.#done(batch, lastOffset, error);
    });
  }

  #done(batch: number, lastOffset: number, error: Error | undefined): void {
    this.#underWay -= 1;
    if (this.#failure !== undefined) return;
    if (error === undefined) {
      this.#durableOffset = lastOffset;
      this.#releases.complete(batch);
      this.onDurable?.(lastOffset);
      if (this.#open.length > 0) this.#schedule();
      else if (this.#underWay === 0) this.#wake();
      return;
    }
    this.#failure = error;
    this.#wake();
    this.#onFailure(error);
  }

  #wake(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}
