/**
 * Holds back everything that can be seen outside until the facts behind it are durable.
 *
 * Each batch handed to the journal has a number. A frame, an engine call or a timer waits for the batch of the newest fact
 * that it shows; one pass per completed batch lets go of all that waited for it, in the order in which it was held. What waits
 * for nothing leaves at once. When the batches will never be durable, everything is dropped but the answers that are owed:
 * those are told so. State: volatile; what is held when the process dies was never promised to anyone.
 */

/** An answer that somebody waits for: told in any case, and whether what it shows is durable. */
export interface Owed {
  tell(durable: boolean): void;
}

type Release = (() => void) | Owed;

export class ReleaseQueue {
  readonly #onCrash: (error: unknown) => void;
  /** Number of the newest batch that is durable. */
  #durable = 0;
  /** In ascending order of batches, because batches are numbered as they are opened. */
  readonly #held = new Map<number, Release[]>();
  #passing: Release[] | undefined;

  /** `onCrash` hears of a release that threw: those behind it leave all the same. */
  constructor(onCrash: (error: unknown) => void) {
    this.#onCrash = onCrash;
  }

  get durable(): number {
    return this.#durable;
  }

  get heldCount(): number {
    let count = 0;
    for (const releases of this.#held.values()) count += releases.length;
    return count;
  }

  /** Lets go of `release` once batch `batch` is durable: now, if it is. */
  hold(batch: number, release: Release): void {
    if (batch <= this.#durable) {
      // What a release causes must not overtake what is still waiting in its own pass.
      if (this.#passing === undefined) this.#let(release, true);
      else this.#passing.push(release);
      return;
    }
    const releases = this.#held.get(batch);
    if (releases === undefined) this.#held.set(batch, [release]);
    else releases.push(release);
  }

  /** Resolves in the turn of what waits for `batch`; never, if that is dropped. */
  passed(batch: number): Promise<void> {
    return new Promise((resolve) => this.hold(batch, resolve));
  }

  /** Batch `batch` and all before it are durable. */
  complete(batch: number): void {
    this.#durable = batch;
    for (const [number, releases] of this.#held) {
      if (number > batch) continue;
      this.#held.delete(number);
      this.#pass(releases, true);
    }
  }

  /** What is held will never be durable. */
  abandon(): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const releases of held)
      this.#pass(
        releases.filter((release) => typeof release !== 'function'),
        false,
      );
  }

  #pass(releases: Release[], durable: boolean): void {
    this.#passing = releases;
    // Releases may add to the pass while it runs.
    for (let index = 0; index < releases.length; index += 1) this.#let(releases[index]!, durable);
    this.#passing = undefined;
  }

  #let(release: Release, durable: boolean): void {
    try {
      if (typeof release === 'function') release();
      else release.tell(durable);
    } catch (error) {
      this.#onCrash(error);
    }
  }
}
