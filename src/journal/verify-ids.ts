/**
 * The ids of a journal's commands: none is accepted twice while the server remembers it, and who depends on one acts only
 * after it succeeded.
 *
 * Reads have ids and no entries: a dependency that the journal does not know may have been one. So it is a finding only when
 * the id turns up later in the same run of the server, because reads are forgotten with the process. State: volatile, bounded
 * by `idsMax`.
 */
import type { CommandAccepted, CommandFinished, CommandSettled, Entry, JournalProblem } from '../../actors/entry.ts';

type Place = Omit<JournalProblem, 'problem'>;
type Accepting = CommandAccepted | CommandSettled;

/** How a command stands: its offset, and in the two lowest bits whether it has an outcome. A number costs a tenth of an object. */
const OPEN = 0;
const SUCCEEDED = 1;
const FAILED = 2;

export class KnownIds {
  readonly #max: number;
  readonly #report: (place: Place, problem: string) => void;
  readonly #known = new Map<string, number>();
  /** Ids that somebody depended on before the journal knew them. */
  readonly #early = new Map<string, Place>();

  constructor(max: number, report: (place: Place, problem: string) => void) {
    this.#max = max;
    this.#report = report;
  }

  /** A new run of the server. */
  boot(): void {
    this.#early.clear();
  }

  accept(entry: Accepting): void {
    const key = keyOf(entry, entry.commandId);
    const before = this.#known.get(key);
    if (before !== undefined)
      this.#report(placeOf(entry), `accepts ${entry.commandId} again, which offset ${offsetOf(before)} accepted`);
    const early = this.#early.get(key);
    if (early !== undefined)
      this.#report(early, `acts before ${entry.commandId}, which it depends on and offset ${entry.offset} accepts`);
    this.#set(key, entry.offset * 4 + OPEN);
  }

  settle(accepted: Accepting, { success }: CommandSettled | CommandFinished): void {
    const key = keyOf(accepted, accepted.commandId);
    if (this.#known.has(key)) this.#known.set(key, accepted.offset * 4 + (success ? SUCCEEDED : FAILED));
  }

  /** `acting` is where the command does something that needs all its dependencies. */
  mustHaveSucceeded(command: Accepting, acting: Entry): void {
    for (const id of command.dependsOn ?? []) {
      const key = keyOf(command, id);
      const known = this.#known.get(key);
      if (known === undefined) this.#remember(key, placeOf(acting));
      else if (known % 4 !== SUCCEEDED) {
        const how = known % 4 === FAILED ? 'failed' : 'has no outcome yet';
        this.#report(placeOf(acting), `acts although ${id} of offset ${offsetOf(known)}, which it depends on, ${how}`);
      }
    }
  }

  #remember(key: string, place: Place): void {
    if (this.#early.size < this.#max) this.#early.set(key, place);
  }

  #set(key: string, value: number): void {
    this.#known.delete(key);
    this.#known.set(key, value);
    if (this.#known.size <= this.#max) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

function keyOf({ principal }: Accepting, id: string): string {
  return `${principal}\0${id}`;
}

function offsetOf(known: number): number {
  return Math.floor(known / 4);
}

function placeOf({ lane, laneSeq, offset }: Entry): Place {
  return { lane, laneSeq, offset };
}
