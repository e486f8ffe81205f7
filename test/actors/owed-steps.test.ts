/**
 * A chart that slept while its session was folded is the chart that was told everything: for any order of steps, also of those
 * that no server writes, and wherever somebody asks.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Host } from '../../actors/host.ts';
import type { ChartStep, ChartSteps } from '../../actors/session/chart-step.ts';
import { OwedSteps } from '../../actors/session/owed-steps.ts';
import { SessionChart } from '../../actors/session/session-chart.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';

const input = (mailboxDepthMax: number) => ({ sessionId: 's', engine: 'echo', mailboxDepthMax });

const offset = fc.integer({ min: 1, max: 6 });

const step: fc.Arbitrary<ChartStep> = fc.oneof(
  { weight: 6, arbitrary: offset.map((at) => accepted(at)) },
  { weight: 6, arbitrary: fc.record({ at: offset, turn: fc.nat(9) }).map(({ at, turn }) => started(at, turn > 0)) },
  { weight: 2, arbitrary: fc.constant<ChartStep>({ type: 'spoke' }) },
  { weight: 8, arbitrary: fc.tuple(offset, fc.boolean(), fc.boolean(), fc.nat(3)).map(ended) },
  { weight: 3, arbitrary: fc.constant<ChartStep>({ type: 'released' }) },
  {
    weight: 1,
    arbitrary: fc.nat(2).map((extensions): ChartStep => ({ type: 'announced', extensions, extensionsMax: 2 })),
  },
  { weight: 1, arbitrary: fc.nat(3).map((extensions): ChartStep => ({ type: 'extended', extensions })) },
  { weight: 1, arbitrary: fc.constantFrom<ChartStep>({ type: 'expired' }, { type: 'closed' }, { type: 'opened' }) },
);

/** What one entry tells: an outcome may come with an end. */
const group: fc.Arbitrary<ChartSteps> = fc.oneof(
  { weight: 20, arbitrary: step.map((one) => [one]) },
  { weight: 1, arbitrary: offset.map((at): ChartSteps => [ended([at, true, true, 3]), { type: 'closed' }]) },
);

function accepted(at: number): ChartStep {
  return { type: 'accepted', offset: at, commandId: `c${at}`, deadlineAt: undefined };
}

function started(at: number, turn = true): ChartStep {
  return { type: 'started', acceptedOffset: at, commandId: `c${at}`, attempt: 1, turn };
}

function ended([at, turn, success, how]: [number, boolean, boolean, number]): ChartStep {
  return { type: 'ended', acceptedOffset: at, turn, success, interrupted: how === 0, timedOut: how === 1 };
}

interface Told {
  readonly snapshot: unknown;
  readonly queued: readonly number[];
}

const seenOf = (chart: SessionChart): Told => ({
  snapshot: JSON.parse(JSON.stringify(chart.snapshot)),
  queued: chart.queued,
});

/** What all of it makes of a chart, behind each group. One that is closed is told nothing more: nobody folds any further. */
function toldAll(groups: readonly ChartSteps[], depthMax: number): Told[] {
  const chart = new SessionChart(new Host(createSimulatedClock()), input(depthMax));
  const seen: Told[] = [];
  for (const steps of groups) {
    chart.take(steps);
    seen.push(seenOf(chart));
    if (chart.is('closed')) break;
  }
  return seen;
}

/** The same of a chart that sleeps until it is asked behind the last group. */
function toldAtLast(groups: readonly ChartSteps[], depthMax: number): Told & { readonly slept: boolean } {
  let owed: OwedSteps | undefined = new OwedSteps(depthMax);
  let chart: SessionChart | undefined;
  const wake = (): SessionChart => {
    const woken = new SessionChart(new Host(createSimulatedClock()), input(depthMax));
    for (const steps of owed!.all) woken.take(steps);
    owed = undefined;
    return woken;
  };
  for (const steps of groups) {
    if (owed?.take(steps) === true) continue;
    chart ??= wake();
    chart.take(steps);
  }
  const slept = chart === undefined;
  return { ...seenOf(chart ?? wake()), slept };
}

function compare(groups: readonly ChartSteps[], depthMax: number): number {
  let slept = 0;
  const opened: readonly ChartSteps[] = [[{ type: 'opened' }], ...groups];
  toldAll(opened, depthMax).forEach((all, index) => {
    const last = toldAtLast(opened.slice(0, index + 1), depthMax);
    expect({ snapshot: last.snapshot, queued: last.queued }).toEqual(all);
    if (last.slept) slept += 1;
  });
  return slept;
}

describe('the chart of a session that was folded', () => {
  it('is the one that was told every step, whatever their order', { timeout: 120_000 }, () => {
    let slept = 0;
    let all = 0;
    fc.assert(
      fc.property(fc.array(group, { maxLength: 24, size: 'max' }), fc.integer({ min: 1, max: 4 }), (groups, depth) => {
        slept += compare(groups, depth);
        all += groups.length + 1;
      }),
      { numRuns: 250 },
    );
    // Both ways were taken.
    expect(slept).toBeGreaterThan(all / 20);
    expect(slept).toBeLessThan(all);
  });

  it('is the one that was told every step of what servers write: turns, some aborted, work that waits and is given up', () => {
    const turn = fc.record({
      queuedBehind: fc.nat(3),
      withdrawn: fc.boolean(),
      spoke: fc.boolean(),
      success: fc.boolean(),
      how: fc.nat(3),
      lease: fc.constantFrom('none', 'announced', 'extended'),
    });
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 6 }), (turns) => {
        let next = 0;
        let announced = false;
        const waiting: number[] = [];
        const groups: ChartSteps[] = [];
        const accept = (): void => {
          waiting.push((next += 1));
          groups.push([accepted(next)]);
        };
        for (const { queuedBehind, withdrawn, spoke, success, how, lease } of turns) {
          if (waiting.length === 0) accept();
          const at = waiting.shift()!;
          groups.push([started(at)]);
          if (spoke) groups.push([{ type: 'spoke' }]);
          for (let index = 0; index < queuedBehind; index += 1) accept();
          if (withdrawn && waiting.length > 0) groups.push([ended([waiting.pop()!, false, false, 3])]);
          if (lease === 'announced' && !announced) {
            groups.push([{ type: 'announced', extensions: 1, extensionsMax: 2 }]);
            announced = true;
          }
          if (lease === 'extended' && announced) {
            groups.push([{ type: 'extended', extensions: 2 }]);
            announced = false;
          }
          groups.push([ended([at, true, success, how])]);
          if (how === 0) groups.push([{ type: 'released' }]);
        }
        // Nothing of this is strange: it sleeps to the end.
        expect(compare(groups, 100)).toBe(groups.length + 1);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps nothing of what is over', () => {
    const owed = new OwedSteps(10);
    owed.take([{ type: 'opened' }]);
    for (let at = 1; at <= 1_000; at += 1) {
      for (const one of [accepted(at), started(at), { type: 'spoke' } as const, ended([at, true, true, 3])])
        expect(owed.take([one])).toBe(true);
    }
    expect(owed.all.length).toBeLessThan(40);
    // What waits lasts.
    for (let at = 2_001; at <= 2_005; at += 1) owed.take([accepted(at)]);
    for (let at = 3_001; at <= 3_100; at += 1)
      for (const one of [accepted(at), started(at), ended([at, true, true, 3])]) owed.take([one]);
    expect(owed.all.length).toBeLessThan(40);
    expect(owed.all).toEqual(expect.arrayContaining([2_001, 2_002, 2_003, 2_004, 2_005].map((at) => [accepted(at)])));
  });
});
