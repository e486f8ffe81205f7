/**
 * What is due when: one time per id, the earliest first. A binary heap whose places are known, so that a time is changed or
 * taken out without a search. State: rebuildable, from the absolute times in the journal.
 */
interface Due {
  readonly id: string;
  at: number;
  place: number;
}

export class DueTimes {
  readonly #heap: Due[] = [];
  readonly #byId = new Map<string, Due>();

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest time; Infinity when there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  set(id: string, at: number): void {
    const known = this.#byId.get(id);
    const due = known ?? { id, at, place: this.#heap.length };
    if (known === undefined) {
      this.#byId.set(id, due);
      this.#heap.push(due);
    }
    due.at = at;
    this.#settle(due);
  }

  delete(id: string): void {
    const due = this.#byId.get(id);
    if (due === undefined) return;
    this.#byId.delete(id);
    const last = this.#heap.pop()!;
    if (last === due) return;
    this.#put(last, due.place);
    this.#settle(last);
  }

  /** Its time; Infinity when it has none. */
  of(id: string): number {
    return this.#byId.get(id)?.at ?? Infinity;
  }

  /** Takes out the id with the earliest time. */
  take(): string | undefined {
    const id = this.#heap[0]?.id;
    if (id !== undefined) this.delete(id);
    return id;
  }

  clear(): void {
    this.#heap.length = 0;
    this.#byId.clear();
  }

  #put(due: Due, place: number): void {
    this.#heap[place] = due;
    due.place = place;
  }

  /** Moves it to where its time belongs. */
  #settle(due: Due): void {
    const heap = this.#heap;
    for (let place = due.place; place > 0; place = due.place) {
      const parent = heap[(place - 1) >> 1]!;
      if (parent.at <= due.at) break;
      this.#put(parent, place);
      this.#put(due, (place - 1) >> 1);
    }
    for (;;) {
      const left = 2 * due.place + 1;
      const right = left + 1;
      const least = right < heap.length && heap[right]!.at < heap[left]!.at ? right : left;
      if (least >= heap.length || heap[least]!.at >= due.at) return;
      const { place } = due;
      this.#put(heap[least]!, place);
      this.#put(due, least);
    }
  }
}
