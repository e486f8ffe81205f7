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
  kept: { readonly text: string; readonly outcome: Outcome } | undefined;
}

export type Known = Command | SettledCommand;

export function isSettled(known: Known): known is SettledCommand {
  return 'settled' in known;
}

/** Ids are unique per principal over all sessions. */
export function idKey(principalId: string, commandId: string): string {
  return `i\0${principalId}\0${commandId}`;
}

/** Idempotency keys are unique per principal and scope: a session's incarnation, or the server. */
export function scopedKey(principalId: string, scope: string, key: string): string {
  return `k\0${principalId}\0${scope}\0${key}`;
}

/** Rough size of what the cache keeps beside text and data, in bytes. */
const KEPT_OVERHEAD_BYTES = 200;

interface Keeping {
  readonly known: SettledCommand;
  readonly keys: readonly string[];
  readonly bytes: number;
}

export class Deduplication {
  readonly #entriesMax: number;
  readonly #cacheBytesMax: number;
  readonly #known = new Map<string, Known>();
  /** Walks the map in order of insertion. Kept, because a fresh iterator would pass over everything deleted before. */
  #oldest: MapIterator<string> | undefined;
  readonly #kept: (Keeping | undefined)[] = [];
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
  register(keys: readonly string[], command: Command): void {
    for (const key of keys) this.#known.set(key, command);
    this.#evictEntries();
  }

  /** The command has its outcome. `text` and `outcome` are kept as long as there is room. */
  settle(keys: readonly string[], known: SettledCommand, dataBytes: number): void {
    for (const key of keys) this.#known.set(key, known);
    if (keys.length === 0 || known.kept === undefined) return;
    const bytes = known.kept.text.length + dataBytes + KEPT_OVERHEAD_BYTES;
    this.#kept.push({ known, keys, bytes });
    this.#keptBytes += bytes;
    this.#evictOutcomes();
  }

  /** What the journal says of a command of an earlier boot. */
  restore(keys: readonly string[], known: SettledCommand): void {
    for (const key of keys) this.#known.set(key, known);
    this.#evictEntries();
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
      const keeping = this.#kept[this.#keptHead];
      if (keeping === undefined) return;
      this.#kept[this.#keptHead] = undefined;
      this.#keptHead += 1;
      this.#keptBytes -= keeping.bytes;
      keeping.known.kept = undefined;
      if (keeping.known.offset > 0) continue;
      for (const key of keeping.keys) if (this.#known.get(key) === keeping.known) this.#known.delete(key);
    }
    if (this.#keptHead > 1024 && this.#keptHead * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#keptHead);
      this.#keptHead = 0;
    }
  }
}
