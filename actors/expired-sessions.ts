/**
 * Names of sessions that expired and were not made again, so that whoever comes late is told what happened to them.
 *
 * The newest `NAMES_MAX`; of older ones it is only known that they are not there. State: rebuildable (from the journal).
 */
import type { ExpiredPart } from './checkpoint.ts';

const NAMES_MAX = 100_000;
/** Written between two turns of the event loop. */
const PART_NAMES = 4_096;

export class ExpiredSessions {
  readonly #namesMax: number;
  /** In the order in which they expired. */
  readonly #names = new Set<string>();
  /** Walks them. Kept, because a fresh iterator would pass over everything deleted before. */
  #oldest: SetIterator<string> | undefined;

  constructor(namesMax = NAMES_MAX) {
    this.#namesMax = namesMax;
  }

  get size(): number {
    return this.#names.size;
  }

  has(sessionId: string): boolean {
    return this.#names.has(sessionId);
  }

  add(sessionId: string): void {
    this.#names.delete(sessionId);
    this.#names.add(sessionId);
    while (this.#names.size > this.#namesMax) {
      this.#oldest ??= this.#names.values();
      const next = this.#oldest.next();
      if (next.done === true) this.#oldest = undefined;
      else this.#names.delete(next.value);
    }
  }

  /** A part at a time; between two of them names may come and go. */
  *export(): Generator<ExpiredPart> {
    let names: string[] = [];
    for (const name of this.#names) {
      names.push(name);
      if (names.length < PART_NAMES) continue;
      yield { kind: 'expired', names };
      names = [];
    }
    if (names.length > 0) yield { kind: 'expired', names };
  }

  /** The name is another session's from now on. */
  delete(sessionId: string): void {
    this.#names.delete(sessionId);
  }
}
