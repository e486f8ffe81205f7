/**
 * What is known of commands that have their outcome, as rows of numbers: a million of them are no million objects.
 *
 * A row is told by its number, which is given again to another command once nobody refers to it. State: rebuildable.
 */

/** What is remembered of a settled command beside its names. */
export interface Settled {
  readonly commandType: string;
  readonly success: boolean;
  /** Offset of the entry with the outcome; 0 for a read. */
  readonly offset: number;
  readonly sessionVersion: number | undefined;
  /** It acted on the connection (attach, subscribe): the same id again acts on the connection that asks. */
  readonly runsAgain: boolean;
}

const [OFFSET, VERSION, PLACE, REFERENCES, FLAGS, WIDTH] = [0, 1, 2, 3, 4, 5];
const NO_VERSION = -1;
const SUCCESS = 1;
const RUNS_AGAIN = 2;
/** What the number of the type is multiplied with. */
const TYPE = 4;
/** Rows are added page by page: one that grows would be copied as a whole. */
const PAGE_ROWS = 4_096;

export class SettledCommands {
  readonly #pages: Float64Array[] = [];
  readonly #free: number[] = [];
  #count = 0;
  /** Types of commands, of which there are few. */
  readonly #types: string[] = [];
  readonly #typeNumbers = new Map<string, number>();

  /** @returns the number of its row, to which nobody refers yet. */
  add({ commandType, success, offset, sessionVersion, runsAgain }: Settled): number {
    const row = this.#free.pop() ?? this.#count++;
    const number = row % PAGE_ROWS;
    const page = (this.#pages[(row - number) / PAGE_ROWS] ??= new Float64Array(PAGE_ROWS * WIDTH));
    const at = number * WIDTH;
    page[at + OFFSET] = offset;
    page[at + VERSION] = sessionVersion ?? NO_VERSION;
    page[at + PLACE] = 0;
    page[at + REFERENCES] = 0;
    page[at + FLAGS] = this.#typeNumber(commandType) * TYPE + (runsAgain ? RUNS_AGAIN : 0) + (success ? SUCCESS : 0);
    return row;
  }

  get(row: number): Settled {
    const version = this.#number(row, VERSION);
    const flags = this.#number(row, FLAGS);
    return {
      commandType: this.#types[Math.floor(flags / TYPE)]!,
      success: (flags & SUCCESS) !== 0,
      offset: this.#number(row, OFFSET),
      sessionVersion: version === NO_VERSION ? undefined : version,
      runsAgain: (flags & RUNS_AGAIN) !== 0,
    };
  }

  /** Where its outcome is kept; 0 when it is not. */
  place(row: number): number {
    return this.#number(row, PLACE);
  }

  keep(row: number, place: number): void {
    this.#set(row, PLACE, place);
  }

  refer(row: number): void {
    this.#set(row, REFERENCES, this.#number(row, REFERENCES) + 1);
  }

  /** One refers to it no longer: behind the last one the row is free. */
  release(row: number): void {
    const references = this.#number(row, REFERENCES) - 1;
    this.#set(row, REFERENCES, references);
    if (references > 0) return;
    this.#set(row, PLACE, 0);
    this.#free.push(row);
  }

  #number(row: number, column: number): number {
    const number = row % PAGE_ROWS;
    return this.#pages[(row - number) / PAGE_ROWS]![number * WIDTH + column]!;
  }

  #set(row: number, column: number, value: number): void {
    const number = row % PAGE_ROWS;
    this.#pages[(row - number) / PAGE_ROWS]![number * WIDTH + column] = value;
  }

  #typeNumber(commandType: string): number {
    const known = this.#typeNumbers.get(commandType);
    if (known !== undefined) return known;
    this.#types.push(commandType);
    this.#typeNumbers.set(commandType, this.#types.length - 1);
    return this.#types.length - 1;
  }
}
