/**
 * The real clock behind the `Clock` port: the wall clock, Node's timers, and its check phase. State: none.
 */
import type { Clock } from '../actors/ports.ts';

/** Node fires a longer timer after one millisecond. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** A wait that is longer than one timer of Node can be: the timer that runs now changes, the handle does not. */
class LongTimeout {
  #timer: NodeJS.Timeout;

  constructor(callback: () => void, delayMs: number) {
    this.#timer = this.#arm(callback, delayMs);
  }

  #arm(callback: () => void, delayMs: number): NodeJS.Timeout {
    if (delayMs <= TIMEOUT_MS_MAX) return setTimeout(callback, delayMs);
    return setTimeout(() => {
      this.#timer = this.#arm(callback, delayMs - TIMEOUT_MS_MAX);
    }, TIMEOUT_MS_MAX);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

export function createClock(): Clock {
  return {
    now: () => Date.now(),
    setTimeout: (callback, delayMs) =>
      delayMs > TIMEOUT_MS_MAX ? new LongTimeout(callback, delayMs) : setTimeout(callback, delayMs),
    clearTimeout(handle) {
      if (handle instanceof LongTimeout) handle.clear();
      else clearTimeout(handle as NodeJS.Timeout | undefined);
    },
    defer(callback) {
      setImmediate(callback);
    },
  };
}
