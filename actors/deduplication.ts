/**
 * One index from command ids and idempotency keys to what became of the command.
 *
 * It stands beside the router, not in a session, because it outlives passivation and deletion. It holds where the outcome is
 * in the journal; the newest outcomes are kept in a cache as well, because a retry mostly comes soon. An outcome of a read is
 * in no journal and lives only in the cache. Both are bounded; the oldest goes first, and an id that fell out is new.
 * State: rebuildable (from the journal; reads are forgotten with the process).
 */
import type { Command } from './command.ts';
import type { Outcome } from './message.ts';
import type { Names } from './names.ts';

/** What is known of a command that has its outcome. */
export interface SettledCommand {
  readonly settled: true;
  readonly commandType: string;
  readonly success: boolean;
  /** Offset of the entry with the outcome; 0 for a read. */
  readonly offset: number;
  readonly sessionVersion: number | undefined;
  /** It acted on the connection (attach, subscribe): the same id again acts on the connection that asks. */
  readonly runsAgain: boolean;
  /** Absent once the cache was needed for newer ones. */
  kept: Kept | undefined;
}

interface Kept {
  readonly text: string;
  readonly outcome: Outcome;
  /** Under what it is forgotten, if it is a read. */
  readonly names: Names;
  /** Rough size of all this. */
  readonly bytes: number;
}

export type Known = Command | SettledCommand;

export function isSettled(known: Known): known is SettledCommand {
  return 'settled' in known;
}

export class Deduplication {
  readonly #entriesMax: number;
  readonly #cacheBytesMax: number;
  readonly #known = new Map<string, Known>();
  /** Walks the map in order of insertion. Kept, because a fresh iterator would pass over everything deleted before. */
  #oldest: MapIterator<string> | undefined;
  /** Those whose outcome is kept, oldest first. */
  readonly #kept: (SettledCommand | undefined)[] = [];
  #keptHead = 0;
  #keptBytes = 0;

  constructor(limits: { readonly entriesMax: number; readonly cacheBytesMax: number }) {
    this.#entriesMax = limits.entriesMax;
    this.#cacheBytesMax = limits.cacheBytesMax;
  }

  get size(): number {
    return this.#known.size;
  }

  get cacheBytes(): number {
    return this.#keptBytes;
  }

  find(key: string): Known | undefined {
    return this.#known.get(key);
  }

  /** From now on the same id or key finds this command. */
  register(names: Names, command: Command): void {
    this.#set(names, command);
    this.#evictEntries();
  }

  /** The command has its outcome, which is kept as long as there is room. */
  settle(known: SettledCommand & { readonly kept: Kept }): void {
    this.#set(known.kept.names, known);
    this.#kept.push(known);
    this.#keptBytes += known.kept.bytes;
    this.#evictOutcomes();
  }

  /** What the journal says of a command of an earlier boot. */
  restore(names: Names, known: SettledCommand): void {
    this.#set(names, known);
    this.#evictEntries();
  }

  #set({ byId, byKey }: Names, known: Known): void {
    if (byId !== undefined) this.#known.set(byId, known);
    if (byKey !== undefined) this.#known.set(byKey, known);
  }

  /** Commands in flight are never evicted: they are moved behind the newest. */
  #evictEntries(): void {
    let moves = 0;
    while (this.#known.size > this.#entriesMax && moves < 1000) {
      this.#oldest ??= this.#known.keys();
      const next = this.#oldest.next();
      if (next.done === true) {
        this.#oldest = undefined;
        moves += 1;
        continue;
      }
      const known = this.#known.get(next.value);
      if (known === undefined) continue;
      this.#known.delete(next.value);
      if (!isSettled(known)) {
        this.#known.set(next.value, known);
        moves += 1;
      }
    }
  }

  #evictOutcomes(): void {
    while (this.#keptBytes > this.#cacheBytesMax) {
      const known = this.#kept[this.#keptHead];
      if (known?.kept === undefined) return;
      const { names, bytes } = known.kept;
      this.#kept[this.#keptHead] = undefined;
      this.#keptHead += 1;
      this.#keptBytes -= bytes;
      known.kept = undefined;
      if (known.offset > 0) continue;
      for (const name of [names.byId, names.byKey]) {
        if (name !== undefined && this.#known.get(name) === known) this.#known.delete(name);
      }
    }
    if (this.#keptHead > 1024 && this.#keptHead * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#keptHead);
      this.#keptHead = 0;
    }
  }
}
