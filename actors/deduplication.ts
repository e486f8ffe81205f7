/**
 * One index from command ids and idempotency keys to what became of the command.
 *
 * It stands beside the router, not in a session, because it outlives passivation and deletion. It holds where the outcome is
 * in the journal; the newest outcomes are kept in a cache as well, because a retry mostly comes soon. An outcome of a read is
 * in no journal and lives only in the cache. Both are bounded; the oldest goes first, and an id that fell out is new.
 * State: rebuildable (from the journal; reads are forgotten with the process).
 */
import type { KnownPart } from './checkpoint.ts';
import type { Command } from './command.ts';
import type { Outcome } from './message.ts';
import type { Names } from './names.ts';
import { OutcomeCache, type KeptOutcome } from './outcome-cache.ts';
import { SettledCommands, type Settled } from './settled-commands.ts';

/** What is known of a command that has its outcome, as of now. */
export interface SettledCommand extends Settled {
  readonly settled: true;
  /** Absent once the cache was needed for newer ones. */
  readonly kept: KeptOutcome | undefined;
}

export type Known = Command | SettledCommand;

export function isSettled(known: Known): known is SettledCommand {
  return 'settled' in known;
}

/** Written between two turns of the event loop: less than a millisecond. */
const PART_KEYS = 1_024;
/** Of a row in a part. */
const FIELDS = 4;
const NO_VERSION = -1;

/** Commands as a checkpoint keeps them. */
class PartOfKnown implements KnownPart {
  readonly kind = 'known';
  readonly keys: string[] = [];
  readonly rows: number[] = [];
  readonly settled: number[] = [];
  readonly types: string[] = [];
  readonly #numbers = new Map<number, number>();

  add(key: string, row: number, { commandType, offset, sessionVersion, success }: Settled): void {
    let number = this.#numbers.get(row);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(row, number);
      let type = this.types.indexOf(commandType);
      if (type < 0) type = this.types.push(commandType) - 1;
      this.settled.push(offset, sessionVersion ?? NO_VERSION, type, success ? 1 : 0);
    }
    this.keys.push(key);
    this.rows.push(number);
  }
}

export class Deduplication {
  readonly #entriesMax: number;
  /** Commands in flight, and the rows of those that are settled. */
  readonly #known = new Map<string, Command | number>();
  /** Walks the map in order of insertion. Kept, because a fresh iterator would pass over everything deleted before. */
  #oldest: MapIterator<string> | undefined;
  readonly #settled = new SettledCommands();
  readonly #cache: OutcomeCache;

  constructor(limits: { readonly entriesMax: number; readonly cacheBytesMax: number }) {
    this.#entriesMax = limits.entriesMax;
    this.#cache = new OutcomeCache(limits.cacheBytesMax, (place, row) => this.#dropped(place, row));
  }

  get size(): number {
    return this.#known.size;
  }

  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  find(key: string): Known | undefined {
    const known = this.#known.get(key);
    if (typeof known !== 'number') return known;
    const place = this.#settled.place(known);
    const settled = this.#settled.get(known);
    // A read whose outcome is gone is gone: its name stays until it is the oldest, and stands for nothing.
    if (place === 0 && settled.offset === 0) return undefined;
    return { settled: true, ...settled, kept: place === 0 ? undefined : this.#cache.read(place) };
  }

  /** From now on the same id or key finds this command. */
  register({ byId, byKey }: Names, command: Command): void {
    if (byId !== undefined) this.#set(byId, command);
    if (byKey !== undefined) this.#set(byKey, command);
    this.#evictEntries();
  }

  /** The command has its outcome, which is kept as long as there is room. */
  settle(names: Names, settled: Settled, text: string, outcome: Outcome): void {
    const row = this.#add(names, settled);
    this.#settled.keep(row, this.#cache.add(row, text, outcome));
  }

  /** It was not accepted after all. */
  forget({ byId, byKey }: Names, command: Command): void {
    for (const key of [byId, byKey]) if (key !== undefined && this.#known.get(key) === command) this.#known.delete(key);
  }

  /** What the journal says of a command of an earlier boot. */
  restore(names: Names, settled: Settled): void {
    this.#add(names, settled);
    this.#evictEntries();
  }

  /** Outcomes of commands that name this string are no longer at hand: the journal has what may still be told. */
  forgetOutcomes(quoted: string): void {
    this.#cache.forget(quoted);
  }

  /** Of what was recorded up to there, the journal has what may still be told. */
  forgetOutcomesUpTo(offset: number): void {
    this.#cache.forgetWhere((place, row) => {
      const recordedAt = this.#settled.place(row) === place ? this.#settled.get(row).offset : 0;
      return recordedAt > 0 && recordedAt <= offset;
    });
  }

  /** What survives the process, a part at a time; between two of them the index may go on. */
  *export(): Generator<KnownPart> {
    let part = new PartOfKnown();
    for (const [key, known] of this.#known) {
      if (typeof known !== 'number') continue;
      const settled = this.#settled.get(known);
      // A read is forgotten with the process.
      if (settled.offset === 0) continue;
      part.add(key, known, settled);
      if (part.keys.length < PART_KEYS) continue;
      yield part;
      part = new PartOfKnown();
    }
    if (part.keys.length > 0) yield part;
  }

  import({ keys, rows, settled, types }: KnownPart): void {
    const added = new Map<number, number>();
    keys.forEach((key, index) => {
      const number = rows[index]!;
      let row = added.get(number);
      if (row === undefined) {
        const [offset, version, type, success] = settled.slice(number * FIELDS, (number + 1) * FIELDS);
        row = this.#settled.add({
          commandType: types[type!]!,
          success: success === 1,
          offset: offset!,
          sessionVersion: version === NO_VERSION ? undefined : version,
          runsAgain: false,
        });
        added.set(number, row);
      }
      this.#set(key, row);
    });
    this.#evictEntries();
  }

  /** What it stood for is not kept any more. What is in flight is not forgotten. */
  forgetDropped(key: string): void {
    const known = this.#known.get(key);
    if (typeof known !== 'number') return;
    this.#known.delete(key);
    this.#settled.release(known);
  }

  #add({ byId, byKey }: Names, settled: Settled): number {
    const row = this.#settled.add(settled);
    if (byId !== undefined) this.#set(byId, row);
    if (byKey !== undefined) this.#set(byKey, row);
    return row;
  }

  #set(key: string, known: Command | number): void {
    const before = this.#known.get(key);
    if (typeof before === 'number') this.#settled.release(before);
    if (typeof known === 'number') this.#settled.refer(known);
    this.#known.set(key, known);
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
      if (typeof known === 'number') this.#settled.release(known);
      else {
        this.#known.set(next.value, known);
        moves += 1;
      }
    }
  }

  /** The cache needs the room. The row may be another command's by now. */
  #dropped(place: number, row: number): void {
    if (this.#settled.place(row) === place) this.#settled.keep(row, 0);
  }
}
