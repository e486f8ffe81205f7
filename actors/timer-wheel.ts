/**
 * The runtime's timers: one per deadline that is awaited, one timeout of the clock for all of them.
 *
 * A sparse timing wheel (Varghese and Lauck 1987, scheme 5, with a heap of the slots in use instead of an array of all):
 * deadlines within one resolution share a slot, so that arming and cancelling are a map access. State: rebuildable, from the
 * absolute deadlines in the journal.
 */
import type { Clock } from './ports.ts';

export interface Timer {
  cancel(): void;
}

/** setTimeout takes 31 bits; a later deadline is waited for in several steps. */
const WAIT_MS_MAX = 2 ** 31 - 1;

export class TimerWheel {
  readonly #clock: Clock;
  readonly #resolutionMs: number;
  readonly #slots = new Map<number, Set<() => void>>();
  /** Binary heap of the slots' times, earliest first. Cancelled slots leave it when they come up. */
  readonly #heap: number[] = [];
  #awaited: { readonly at: number; readonly handle: unknown } | undefined;
  #size = 0;

  constructor(clock: Clock, resolutionMs: number) {
    this.#clock = clock;
    this.#resolutionMs = resolutionMs;
  }

  /** Timers that are armed. */
  get size(): number {
    return this.#size;
  }

  /** Calls back at `deadlineAt` (milliseconds since 1970) or up to one resolution later; at once when it has passed. */
  arm(deadlineAt: number, callback: () => void): Timer {
    const at = Math.ceil(deadlineAt / this.#resolutionMs) * this.#resolutionMs;
    let slot = this.#slots.get(at);
    if (slot === undefined) {
      slot = new Set();
      this.#slots.set(at, slot);
      push(this.#heap, at);
    }
    const timer = (): void => callback();
    slot.add(timer);
    this.#size += 1;
    this.#await();
    return {
      cancel: () => {
        if (slot.delete(timer)) this.#size -= 1;
        if (slot.size === 0 && this.#slots.get(at) === slot) this.#slots.delete(at);
        this.#await();
      },
    };
  }

  /** Awaits the earliest slot; forgets the ones whose timers were all cancelled. */
  #await(): void {
    let earliest = this.#heap[0];
    while (earliest !== undefined && !this.#slots.has(earliest)) {
      pop(this.#heap);
      earliest = this.#heap[0];
    }
    if (this.#awaited?.at === earliest) return;
    if (this.#awaited !== undefined) this.#clock.clearTimeout(this.#awaited.handle);
    this.#awaited = undefined;
    if (earliest === undefined) return;
    const delayMs = Math.min(Math.max(0, earliest - this.#clock.now()), WAIT_MS_MAX);
    this.#awaited = { at: earliest, handle: this.#clock.setTimeout(() => this.#turn(), delayMs) };
  }

  #turn(): void {
    this.#awaited = undefined;
    const now = this.#clock.now();
    for (let at = this.#heap[0]; at !== undefined && at <= now; at = this.#heap[0]) {
      pop(this.#heap);
      const slot = this.#slots.get(at);
      if (slot === undefined) continue;
      this.#slots.delete(at);
      for (const timer of slot) {
        slot.delete(timer);
        this.#size -= 1;
        timer();
      }
    }
    this.#await();
  }
}

function push(heap: number[], value: number): void {
  let index = heap.push(value) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (heap[parent]! <= value) break;
    heap[index] = heap[parent]!;
    index = parent;
  }
  heap[index] = value;
}

function pop(heap: number[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child += 1;
    if (heap[child]! >= last) break;
    heap[index] = heap[child]!;
    index = child;
  }
  heap[index] = last;
}
