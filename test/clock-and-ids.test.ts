import { afterEach, describe, expect, it, vi } from 'vitest';
import { createClock } from '../src/clock.ts';
import { createIds } from '../src/ids.ts';

describe('the clock', () => {
  afterEach(() => vi.useRealTimers());

  it('waits as long as it is told, also longer than one timer of Node can', () => {
    vi.useFakeTimers();
    const clock = createClock();
    const seen: string[] = [];
    const month = 30 * 24 * 3_600_000;
    clock.setTimeout(() => seen.push('short'), 10);
    clock.setTimeout(() => seen.push('month'), month);
    clock.setTimeout(() => seen.push('quarter'), 3 * month);
    vi.advanceTimersByTime(10);
    expect(seen).toEqual(['short']);
    vi.advanceTimersByTime(month - 11);
    expect(seen).toEqual(['short']);
    vi.advanceTimersByTime(1);
    expect(seen).toEqual(['short', 'month']);
    vi.advanceTimersByTime(2 * month);
    expect(seen).toEqual(['short', 'month', 'quarter']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('clears a timer at any time, however long', () => {
    vi.useFakeTimers();
    const clock = createClock();
    const year = 365 * 24 * 3_600_000;
    const ran = vi.fn<() => void>();
    const timers = [clock.setTimeout(ran, 10), clock.setTimeout(ran, year), clock.setTimeout(ran, year)];
    clock.clearTimeout(timers[0]);
    clock.clearTimeout(timers[1]);
    vi.advanceTimersByTime(year / 2);
    clock.clearTimeout(timers[2]);
    vi.advanceTimersByTime(year);
    expect(ran).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('defers past what is already on its way', async () => {
    const order: string[] = [];
    const done = new Promise<void>((resolve) => {
      createClock().defer(() => {
        order.push('deferred');
        resolve();
      });
    });
    process.nextTick(() => order.push('tick'));
    void Promise.resolve().then(() => order.push('promise'));
    await done;
    expect(order).toHaveLength(3);
    expect(order[2]).toBe('deferred');
  });
});

describe('ids', () => {
  it('fit the wire and never come twice', () => {
    const ids = createIds();
    const drawn = Array.from({ length: 10_000 }, () => [ids.epoch(), ids.sessionId()]).flat();
    expect(new Set(drawn).size).toBe(drawn.length);
    expect(drawn.filter((id) => !/^(session-)?[0-9a-f]{24}$/.test(id))).toEqual([]);
  });
});
