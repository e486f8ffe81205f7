import { describe, expect, it } from 'vitest';
import { createSimulatedClock } from '../../src/testing/clock.ts';

describe('simulated clock', () => {
  it('runs due timers in the order of their due time, and at exactly that time', () => {
    const clock = createSimulatedClock(1_000);
    const seen: [string, number][] = [];
    clock.setTimeout(() => seen.push(['late', clock.now()]), 30);
    clock.setTimeout(() => seen.push(['early', clock.now()]), 10);
    clock.setTimeout(() => seen.push(['not yet', clock.now()]), 51);
    clock.advance(50);
    expect(seen).toEqual([
      ['early', 1_010],
      ['late', 1_030],
    ]);
    expect(clock.now()).toBe(1_050);
    expect(clock.pendingTimers).toBe(1);
  });

  it('runs timers of the same time in the order in which they were set', () => {
    const clock = createSimulatedClock();
    const seen: number[] = [];
    for (const n of [1, 2, 3, 4, 5]) clock.setTimeout(() => seen.push(n), 10);
    clock.advance(10);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it('runs timers that timers set within the window', () => {
    const clock = createSimulatedClock(0);
    const seen: number[] = [];
    const tick = (): void => {
      seen.push(clock.now());
      clock.setTimeout(tick, 10);
    };
    clock.setTimeout(tick, 10);
    clock.advance(35);
    expect(seen).toEqual([10, 20, 30]);
    expect(clock.pendingTimers).toBe(1);
  });

  it('runs a timer that is overdue now, not in the past', () => {
    const clock = createSimulatedClock(100);
    const seen: number[] = [];
    clock.setTimeout(() => seen.push(clock.now()), -50);
    clock.advance(0);
    expect(seen).toEqual([100]);
  });

  it('never runs a cleared timer, and forgives an unknown handle', () => {
    const clock = createSimulatedClock();
    const seen: string[] = [];
    const handle = clock.setTimeout(() => seen.push('cleared'), 10);
    clock.setTimeout(() => seen.push('kept'), 10);
    clock.clearTimeout(handle);
    clock.clearTimeout(handle);
    clock.clearTimeout(undefined);
    clock.advance(10);
    expect(seen).toEqual(['kept']);
  });

  it('runs deferred callbacks before time moves, before the first timer and between timers', () => {
    const clock = createSimulatedClock(0);
    const seen: [string, number][] = [];
    clock.defer(() => seen.push(['deferred before', clock.now()]));
    clock.setTimeout(() => {
      seen.push(['timer', clock.now()]);
      clock.defer(() => {
        seen.push(['deferred by timer', clock.now()]);
        clock.defer(() => seen.push(['deferred by deferred', clock.now()]));
      });
    }, 10);
    clock.setTimeout(() => seen.push(['next timer', clock.now()]), 11);
    clock.advance(20);
    expect(seen).toEqual([
      ['deferred before', 0],
      ['timer', 10],
      ['deferred by timer', 10],
      ['deferred by deferred', 10],
      ['next timer', 11],
    ]);
    expect(clock.pendingDeferred).toBe(0);
  });

  it('flush runs deferred callbacks without moving time', () => {
    const clock = createSimulatedClock(5);
    let ran = 0;
    clock.defer(() => (ran += 1));
    clock.setTimeout(() => (ran += 100), 0);
    clock.flush();
    expect([ran, clock.now(), clock.pendingTimers]).toEqual([1, 5, 1]);
  });

  it('advanceAsync lets promises go on between two timers', async () => {
    const clock = createSimulatedClock(0);
    const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimeout(resolve, ms));
    const seen: number[] = [];
    const walk = async (): Promise<void> => {
      for (let step = 0; step < 4; step += 1) {
        await wait(10);
        seen.push(clock.now());
      }
    };
    const done = walk();
    await clock.advanceAsync(40);
    await done;
    expect(seen).toEqual([10, 20, 30, 40]);
  });

  it('advanceAsync runs what a promise defers before time moves', async () => {
    const clock = createSimulatedClock(0);
    const seen: number[] = [];
    clock.setTimeout(() => void Promise.resolve().then(() => clock.defer(() => seen.push(clock.now()))), 10);
    await clock.advanceAsync(100);
    expect(seen).toEqual([10]);
  });

  it('refuses to go back, and a timer that Node would run at once', () => {
    const clock = createSimulatedClock();
    expect(() => clock.advance(-1)).toThrow('Time moves forward: cannot advance by -1 ms.');
    expect(() => clock.setTimeout(() => undefined, 2 ** 31)).toThrow('Node would run it at once');
  });

  it('ends with a sentence when callbacks defer each other without end', () => {
    const clock = createSimulatedClock();
    const again = (): void => clock.defer(again);
    again();
    expect(() => clock.flush()).toThrow('Deferred callbacks defer each other without end.');
  });
});
