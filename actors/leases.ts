/**
 * The leases of all sessions, whether they are in memory or not: one time for each, when something is to be done about it next,
 * and one timer for all of them.
 *
 * A time says only that somebody has to look: what is to be done is found out from the folded session. Whoever comes first
 * makes it so, the timer or a command that is admitted. State: rebuildable, from the absolute deadlines in the journal.
 */
import { DueTimes } from './due-times.ts';
import type { Clock } from './ports.ts';
import type { Timer, TimerWheel } from './timer-wheel.ts';

/** Looked at in one go: a hundred thousand sessions that end together must not hold up everybody else. */
const LOOKS_MAX = 256;

export class Leases {
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #look: (sessionId: string, now: number) => void;
  readonly #due = new DueTimes();
  #timer: { readonly at: number; readonly timer: Timer } | undefined;
  #started = false;

  /** `look` does what is due of a session and arms what is due next. */
  constructor(clock: Clock, wheel: TimerWheel, look: (sessionId: string, now: number) => void) {
    this.#clock = clock;
    this.#wheel = wheel;
    this.#look = look;
  }

  /** Leases that are armed. */
  get size(): number {
    return this.#due.size;
  }

  /** 1 while a timer of the wheel is used. */
  get timers(): number {
    return this.#timer === undefined ? 0 : 1;
  }

  /** False while nothing can be recorded: then only what was durable before is looked at. */
  get started(): boolean {
    return this.#started;
  }

  arm(sessionId: string, dueAt: number): void {
    this.#due.set(sessionId, dueAt);
    this.#await();
  }

  disarm(sessionId: string): void {
    this.#due.delete(sessionId);
    this.#await();
  }

  /** The sessions are folded, and what was in flight is classified: all that is due by now is done. */
  start(now: number): void {
    this.#started = true;
    while (this.#due.next <= now) this.run(now);
    this.#await();
  }

  /** Does what is due, as much as fits in one go, and in any case what is due of the session that a command is for. */
  run(now: number, sessionId?: string): void {
    if (!this.#started || this.#due.next > now) return;
    if (sessionId !== undefined && this.#due.of(sessionId) <= now) {
      this.#due.delete(sessionId);
      this.#look(sessionId, now);
    }
    for (let looks = 0; looks < LOOKS_MAX && this.#due.next <= now; looks += 1) this.#look(this.#due.take()!, now);
    this.#await();
  }

  /** Another one takes over. */
  stop(): void {
    this.#started = false;
    this.#due.clear();
    this.#await();
  }

  /**
   * One that comes too early looks, finds nothing and awaits the next: to move the timer whenever the earliest session is
   * deleted would cost more than that.
   */
  #await(): void {
    const at = this.#started ? this.#due.next : Infinity;
    if (at === Infinity ? this.#timer === undefined : (this.#timer?.at ?? Infinity) <= at) return;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    if (at === Infinity) return;
    const timer = this.#wheel.arm(at, () => {
      this.#timer = undefined;
      this.run(this.#clock.now());
      this.#await();
    });
    this.#timer = { at, timer };
  }
}
