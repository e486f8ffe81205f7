/**
 * Lets the frames of all connections of a listener pass in turns, so that none of them has the event loop for itself.
 *
 * Taken in one go, what eight busy clients have sent meanwhile keeps everybody else waiting for 10 ms and more, and the
 * journal as well, which gets nothing before the turn ends. So the frames of one turn of the loop are counted; those over
 * the limit wait for the next turn, in which they go round: a few of each connection, then of the next. State: volatile.
 */

/** Frames of all connections in one turn of the event loop: about 2 ms. */
const TURN_FRAMES_MAX = 64;

/** One that waits: takes some frames, and comes again if it is not through. */
export interface Waiting {
  resume(): void;
}

export class Turnstile {
  #turn = 0;
  #left = TURN_FRAMES_MAX;
  #scheduled = false;
  /** In the order of their turns. */
  readonly #waiting = new Set<Waiting>();
  readonly #next = (): void => this.#begin();

  /** Number of the turn that is on. */
  get turn(): number {
    return this.#turn;
  }

  /** Asks for one frame to pass. */
  pass(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    this.#schedule();
    return true;
  }

  wait(one: Waiting): void {
    this.#waiting.add(one);
    this.#schedule();
  }

  leave(one: Waiting): void {
    this.#waiting.delete(one);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#next);
  }

  #begin(): void {
    this.#scheduled = false;
    this.#turn += 1;
    this.#left = TURN_FRAMES_MAX;
    // Who is not through yet comes again behind the others, in this turn if there is room.
    for (const one of this.#waiting) {
      if (this.#left === 0) break;
      this.#waiting.delete(one);
      one.resume();
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
