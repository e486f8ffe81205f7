/**
 * One timeout of the clock for any number of deadlines: each is called back once, in time and in order, unless it was
 * cancelled.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../actors/timer-wheel.ts';
import type { Timer } from '../../actors/timer-wheel.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';

const RESOLUTION_MS = 10;

interface Armed {
  readonly id: number;
  readonly slot: number;
  readonly armedAt: number;
  cancelled: boolean;
}

type Action =
  | { readonly do: 'arm'; readonly inMs: number; readonly then: 'nothing' | 'arm' | 'cancel' }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('arm' as const),
      inMs: fc.integer({ min: -50, max: 200 }),
      then: fc.constantFrom('nothing' as const, 'arm' as const, 'cancel' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(60) }) },
);

/** A wheel beside a plain list of what is armed, which says what is to happen. */
class Bench {
  readonly clock = createSimulatedClock(1000);
  readonly wheel = new TimerWheel(this.clock, RESOLUTION_MS);
  readonly armed: Armed[] = [];
  readonly timers: Timer[] = [];
  readonly fired: { readonly id: number; readonly at: number }[] = [];

  arm(inMs: number, then: 'nothing' | 'arm' | 'cancel'): void {
    const id = this.armed.length;
    const deadlineAt = this.clock.now() + inMs;
    const slot = Math.ceil(deadlineAt / RESOLUTION_MS) * RESOLUTION_MS;
    this.armed.push({ id, slot, armedAt: this.clock.now(), cancelled: false });
    const timer = this.wheel.arm(deadlineAt, () => {
      this.fired.push({ id, at: this.clock.now() });
      if (then === 'arm') this.arm(20, 'nothing');
      if (then === 'cancel') this.cancel(id + 1);
    });
    this.timers.push(timer);
  }

  cancel(which: number): void {
    const { length } = this.armed;
    if (length === 0) return;
    const one = this.armed[which % length]!;
    if (!this.fired.some(({ id }) => id === one.id)) one.cancelled = true;
    this.timers[one.id]!.cancel();
  }

  /** Armed, not called back and not cancelled. */
  get waiting(): number {
    return this.armed.filter(({ id, cancelled }) => !cancelled && !this.fired.some((one) => one.id === id)).length;
  }
}

it('any timers are called back once each, at their time, in order, and never when cancelled', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
      const bench = new Bench();
      for (const one of actions) {
        if (one.do === 'arm') bench.arm(one.inMs, one.then);
        else if (one.do === 'cancel') bench.cancel(one.which);
        else bench.clock.advance(one.ms);
        expect(bench.wheel.size).toBe(bench.waiting);
        expect(bench.clock.pendingTimers).toBe(bench.waiting === 0 ? 0 : 1);
      }
      bench.clock.advance(10_000);
      expect(bench.wheel.size).toBe(0);
      expect(bench.clock.pendingTimers).toBe(0);
      const expected = bench.armed.filter(({ cancelled }) => !cancelled).map(({ id }) => id);
      expect(bench.fired.map(({ id }) => id).sort((a, b) => a - b)).toEqual(expected);
      for (const { id, at } of bench.fired) {
        const { slot, armedAt } = bench.armed[id]!;
        expect(at).toBe(Math.max(slot, armedAt));
      }
      // Of those that came due at one moment, the earlier deadline first.
      bench.fired.forEach(({ id, at }, index) => {
        const next = bench.fired[index + 1];
        if (next === undefined || next.at !== at || bench.armed[next.id]!.armedAt === at) return;
        expect(bench.armed[id]!.slot).toBeLessThanOrEqual(bench.armed[next.id]!.slot);
      });
    }),
    { numRuns: 500 },
  );
});

describe('a timer', () => {
  it('is called at most one resolution late, and never early', () => {
    const clock = createSimulatedClock(0);
    const wheel = new TimerWheel(clock, 100);
    const at: number[] = [];
    for (const deadline of [1, 99, 100, 101]) wheel.arm(deadline, () => at.push(clock.now()));
    clock.advance(1000);
    expect(at).toEqual([100, 100, 100, 200]);
  });

  it('shares the clock’s one timeout with all others', () => {
    const clock = createSimulatedClock();
    const wheel = new TimerWheel(clock, 1);
    for (let index = 0; index < 1000; index += 1) wheel.arm(clock.now() + 5000 - index, () => undefined);
    expect(clock.pendingTimers).toBe(1);
  });

  it('beyond what a timeout can wait for is reached in several steps', () => {
    const clock = createSimulatedClock();
    const wheel = new TimerWheel(clock, 1);
    let called = 0;
    const days = 60 * 24 * 3_600_000;
    wheel.arm(clock.now() + days, () => (called += 1));
    clock.advance(days - 1);
    expect(called).toBe(0);
    clock.advance(1);
    expect(called).toBe(1);
  });

  it('that has passed is called soon, and not from inside `arm`', () => {
    const clock = createSimulatedClock();
    const wheel = new TimerWheel(clock, 1);
    let called = 0;
    wheel.arm(clock.now() - 5, () => (called += 1));
    expect(called).toBe(0);
    clock.advance(0);
    expect(called).toBe(1);
  });

  it('can be cancelled twice, and after it was called', () => {
    const clock = createSimulatedClock();
    const wheel = new TimerWheel(clock, 1);
    const first = wheel.arm(clock.now() + 1, () => undefined);
    const second = wheel.arm(clock.now() + 1, () => undefined);
    first.cancel();
    first.cancel();
    expect(wheel.size).toBe(1);
    clock.advance(1);
    second.cancel();
    wheel.arm(clock.now() + 1, () => undefined);
    second.cancel();
    expect(wheel.size).toBe(1);
  });
});
