/**
 * Walks the journal in either direction, window by window, each window in order of offsets.
 *
 * The journal is read upwards only; a walk downwards takes windows from the end. Where few entries are found the windows grow,
 * so that a session which was quiet for long costs no more than one that was not; one that turns out too full is taken again
 * in smaller pieces. State: volatile, one per question.
 */
import type { Entry, EntryReader, StoredEntry } from '../../actors/entry.ts';

const PAGE_ENTRIES = 256;
const WINDOW_MIN = 256;
const WINDOW_ENTRIES_MAX = 512;
/** With fewer entries than that in a window the next one is larger. */
const WINDOW_ENTRIES_FEW = 64;
const GROWTH = 8;

export type Direction = 'forward' | 'backward';

export interface WalkRange {
  /** First and last offset. */
  readonly from: number;
  readonly to: number;
  /** Journal lanes; all of them when there are none. */
  readonly lanes: readonly string[];
  readonly direction: Direction;
}

export class JournalWalk<Item> {
  readonly #journal: EntryReader;
  readonly #range: WalkRange;
  readonly #take: (stored: StoredEntry) => Item | undefined;
  #from: number;
  #to: number;
  #size = WINDOW_MIN;
  #scanned = 0;

  /** `take` makes of an entry what is wanted of it; what it leaves out is not kept. */
  constructor(journal: EntryReader, range: WalkRange, take: (stored: StoredEntry) => Item | undefined) {
    this.#journal = journal;
    this.#range = range;
    this.#take = take;
    this.#from = range.from;
    this.#to = range.to;
  }

  /** Entries that were read so far. */
  get scanned(): number {
    return this.#scanned;
  }

  /** Everything was read up to here, seen from where the walk began. */
  get reached(): number {
    return this.#range.direction === 'forward' ? this.#from - 1 : this.#to + 1;
  }

  get done(): boolean {
    return this.#from > this.#to;
  }

  /** What the next window holds, in the direction of the walk. An empty one is not the end. */
  async next(): Promise<Item[]> {
    for (;;) {
      const forward = this.#range.direction === 'forward';
      const from = forward ? this.#from : Math.max(this.#from, this.#to - this.#size + 1);
      const to = forward ? Math.min(this.#to, this.#from + this.#size - 1) : this.#to;
      const before = this.#scanned;
      const found = await this.#window(from, to);
      if (found === undefined) {
        this.#size = Math.max(WINDOW_MIN, Math.floor(this.#size / GROWTH));
        continue;
      }
      if (this.#scanned - before < WINDOW_ENTRIES_FEW) this.#size *= GROWTH;
      if (forward) this.#from = to + 1;
      else this.#to = from - 1;
      found.sort((a, b) => (forward ? a.offset - b.offset : b.offset - a.offset));
      return found.map(({ item }) => item);
    }
  }

  /** Undefined when there is more in it than is kept at once. */
  async #window(from: number, to: number): Promise<{ offset: number; item: Item }[] | undefined> {
    const { lanes } = this.#range;
    const found: { offset: number; item: Item }[] = [];
    const start = this.#scanned;
    for (const lane of lanes.length === 0 ? [undefined] : lanes) {
      for (let after = from - 1; after < to;) {
        const limit = Math.min(PAGE_ENTRIES, to - after);
        const page = await this.#journal.scan({ after, limit, ...(lane !== undefined && { lane }) });
        if (page.length === 0) break;
        for (const stored of page) {
          after = stored.entry.offset;
          if (after > to) break;
          this.#scanned += 1;
          const item = this.#take(stored);
          if (item !== undefined) found.push({ offset: after, item });
        }
        if (this.#scanned - start > WINDOW_ENTRIES_MAX && to - from >= WINDOW_MIN) return undefined;
      }
    }
    return found;
  }
}

/** The session that an entry is about, if it is about one. */
export function sessionOf(entry: Entry): string | undefined {
  if ('sessionId' in entry && entry.sessionId !== undefined) return entry.sessionId;
  return entry.lane.startsWith('session:') ? entry.lane.slice('session:'.length) : undefined;
}
