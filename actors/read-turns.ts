/**
 * Who reads the journal next: a few at once, the others in the order in which they came.
 *
 * After a restart all clients come back at the same time and want what they missed. The thread that reads for them is the one
 * that commits, and takes what it is given in order: without a bound, a command would wait behind all of their pages.
 * State: volatile.
 */
const AT_ONCE_MAX = 2;

export class ReadTurns {
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  async take<T>(read: () => Promise<T>): Promise<T> {
    if (this.#underWay >= AT_ONCE_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#underWay += 1;
    try {
      return await read();
    } finally {
      // Whose turn it is next takes this place: nobody who comes meanwhile gets in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay -= 1;
      else next();
    }
  }
}
