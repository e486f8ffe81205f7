/**
 * Holds back everything that can be seen outside until the facts behind it are durable.
 *
 * Each batch handed to the journal has a number. A frame, an engine call or a timer waits for the batch of the newest fact
 * that it shows; one pass per completed batch lets go of all that waited for it, in the order in which it was held. What waits
 * for nothing leaves at once. State: volatile; what is held when the process dies was never promised to anyone.
 */
export class ReleaseQueue {
  /** Number of the newest batch that is durable. */
  #durable = 0;
  /** In ascending order of batches, because batches are numbered as they are opened. */
  readonly #held = new Map<number, (() => void)[]>();
  #passing: (() => void)[] | undefined;

  get durable(): number {
    return this.#durable;
  }

  get heldCount(): number {
    let count = 0;
    for (const releases of this.#held.values()) count += releases.length;
    return count;
  }

  /** Runs `release` once batch `batch` is durable: now, if it is. */
  hold(batch: number, release: () => void): void {
    if (batch <= this.#durable) {
      // What a release causes must not overtake what is still waiting in its own pass.
      if (this.#passing === undefined) release();
      else this.#passing.push(release);
      return;
    }
    const releases = this.#held.get(batch);
    if (releases === undefined) this.#held.set(batch, [release]);
    else releases.push(release);
  }

  /** Batch `batch` and all before it are durable. */
  complete(batch: number): void {
    this.#durable = batch;
    for (const [number, releases] of this.#held) {
      if (number > batch) continue;
      this.#held.delete(number);
      this.#passing = releases;
      // Releases may add to the pass while it runs.
      for (let index = 0; index < releases.length; index += 1) releases[index]!();
      this.#passing = undefined;
    }
  }

  /** Nothing more will become durable: lets go of nothing. */
  abandon(): void {
    this.#held.clear();
  }
}
