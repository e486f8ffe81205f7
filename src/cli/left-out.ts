/**
 * Which parts of which sessions are not run again. Where a command can't be run its session would be another one from there on;
 * where a session of that name is made anew it is whole again. State: volatile.
 */

/** What is not part of the test, and why. */
export interface LeftOut {
  readonly what: string;
  readonly reason: string;
}

export class BrokenSessions {
  /** By session, from which offset on and, where it was made anew, up to which one. */
  readonly #gaps = new Map<string, { readonly from: number; to: number }[]>();

  break(session: string, from: number): void {
    const gaps = this.#gaps.get(session);
    if (gaps === undefined) this.#gaps.set(session, [{ from, to: Infinity }]);
    else gaps.push({ from, to: Infinity });
  }

  /** From here on it is another one, about which everything is known. */
  mend(session: string, at: number): void {
    const last = this.#gaps.get(session)?.at(-1);
    if (last?.to === Infinity) last.to = at;
  }

  has(session: string, offset: number): boolean {
    return this.#gaps.get(session)?.some(({ from, to }) => offset >= from && offset < to) === true;
  }
}
