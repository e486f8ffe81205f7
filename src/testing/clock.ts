/**
 * A clock that moves only when a test says so. It implements the `Clock` port, so everything that takes its time from there
 * runs unchanged, and a wait of a day costs a test nothing.
 *
 * While a timer runs, `now()` is exactly the time it was due; timers with the same due time run in the order in which they
 * were set; deferred callbacks run before time moves on. State: volatile.
 */
import type { Clock } from '../../actors/ports.ts';

/** A clock that stands still unless a test moves it. */
export interface SimulatedClock extends Clock {
  /** Moves time forward and runs what comes due on the way, timers set by timers included. */
  advance(ms: number): void;
  /** Like `advance`, and lets promises (and I/O that is ready) go on before the first and after each step. */
  advanceAsync(ms: number): Promise<void>;
  /** Runs deferred callbacks, those that they defer included. */
  flush(): void;
  readonly pendingTimers: number;
  readonly pendingDeferred: number;
}

/** Far beyond what a correct test needs: a callback that defers itself for ever ends with a sentence instead of a hang. */
const DEFERRED_RUNS_MAX = 1_000_000;

/** Node fires a longer timer after one millisecond. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Makes a clock that shows `startAt` until somebody moves it. */
export function createSimulatedClock(startAt = Date.UTC(2026, 0, 1)): SimulatedClock {
  let time = startAt;
  let order = 0;
  /** Latest first, so that the next one is taken from the end. */
  const timers: Timer[] = [];
  let deferred: (() => void)[] = [];

  /** Index of the first timer that runs before (or is) the given one. */
  function position(timer: Timer): number {
    let low = 0;
    let high = timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = timers[middle]!;
      if (other.dueAt > timer.dueAt || (other.dueAt === timer.dueAt && other.order > timer.order)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function flush(): void {
    for (let runs = 0; deferred.length > 0;) {
      const callbacks = deferred;
      deferred = [];
      runs += callbacks.length;
      if (runs > DEFERRED_RUNS_MAX) throw new Error('Deferred callbacks defer each other without end.');
      for (const callback of callbacks) callback();
    }
  }

  /** Runs the next timer that is due until `target`; false when there is none. */
  function step(target: number): boolean {
    const timer = timers.at(-1);
    if (timer === undefined || timer.dueAt > target) return false;
    timers.pop();
    time = timer.dueAt;
    timer.callback();
    flush();
    return true;
  }

  async function settle(): Promise<void> {
    do {
      flush();
      await new Promise((resolve) => setImmediate(resolve));
    } while (deferred.length > 0);
  }

  function destination(ms: number): number {
    if (!(ms >= 0)) throw new RangeError(`Time moves forward: cannot advance by ${ms} ms.`);
    return time + ms;
  }

  return {
    now: () => time,
    setTimeout(callback, delayMs) {
      if (delayMs > TIMEOUT_MS_MAX) {
        throw new RangeError(
          `A timer of ${delayMs} ms: Node would run it at once, its maximum is ${TIMEOUT_MS_MAX} ms.`,
        );
      }
      const timer: Timer = { dueAt: time + Math.max(0, delayMs), order: (order += 1), callback };
      timers.splice(position(timer), 0, timer);
      return timer;
    },
    clearTimeout(handle) {
      if (handle === undefined || handle === null) return;
      const index = position(handle as Timer);
      if (timers[index] === handle) timers.splice(index, 1);
    },
    defer(callback) {
      deferred.push(callback);
    },
    advance(ms) {
      const target = destination(ms);
      flush();
      while (step(target));
      time = target;
    },
    async advanceAsync(ms) {
      const target = destination(ms);
      await settle();
      while (step(target)) await settle();
      time = target;
    },
    flush,
    get pendingTimers() {
      return timers.length;
    },
    get pendingDeferred() {
      return deferred.length;
    },
  };
}
