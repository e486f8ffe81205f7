/**
 * What clients have begun to send and not finished, over all connections of a transport, and who has to go when it is too much.
 *
 * Each connection is bounded by the largest frame alone, and a thousand of them together are not: somebody who sends all but the
 * last byte of a large frame, on every connection that there is, would take gigabytes and look alive. The oldest goes first,
 * because a frame that is really wanted arrives in seconds and one that is held on purpose stays. State: volatile.
 */
export class Unfinished<Sender> {
  readonly #bytesMax: number;
  /** Bytes by sender, in the order in which they began. */
  readonly #begun = new Map<Sender, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of all senders. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts a piece that finished nothing. @returns who has to go, if there are too many bytes. */
  add(sender: Sender, bytes: number): Sender | undefined {
    const begun = (this.#begun.get(sender) ?? 0) + bytes;
    // Control frames are taken off when they are whole: a piece of one is all that there may have been.
    if (begun <= 0) this.finish(sender);
    else {
      this.#begun.set(sender, begun);
      this.#bytes += bytes;
    }
    if (this.#bytes <= this.#bytesMax) return undefined;
    const [oldest] = this.#begun.keys();
    return oldest;
  }

  /** The sender's frame is whole, or it is gone. */
  finish(sender: Sender): void {
    this.#bytes -= this.#begun.get(sender) ?? 0;
    this.#begun.delete(sender);
  }
}
