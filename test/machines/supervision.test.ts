/**
 * The chart of supervisors on its generated paths, and its arithmetic against OTP's, written down a second time: how many
 * failures within a period are too many, how long it waits, and where it restarts from.
 */
import fc from 'fast-check';
import { createActor } from 'xstate';
import { describe, expect, it } from 'vitest';
import { supervisionTree } from '../../actors/supervision-tree.ts';
import { supervisionMachine } from '../../machines/supervision.ts';
import type { SupervisionContext, SupervisionInput } from '../../machines/supervision.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { models } from '../../src/testing/models.ts';
import type { PlayedStep } from '../../src/testing/play.ts';
import { playPath } from '../../src/testing/play.ts';
import { recordingOf } from '../../src/testing/recorder.ts';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

const contextOf = (step: PlayedStep): SupervisionContext => step.snapshot.context as SupervisionContext;

describeChart('supervision', {
  states: 6,
  transitions: 11,
  promise(steps) {
    const { policy } = contextOf(steps[0]!);
    const intents = intentsOf(steps);
    const foreign = policy.strategy === 'oneForOne' ? 'restartFrom' : 'restartChild';
    expect(intents, 'each strategy restarts in its own way').not.toContain(foreign);
    expect(intents.includes('escalate'), 'it hands up exactly when it gives up').toBe(isIn(steps.at(-1)!, 'escalated'));

    let earliest: { child: string; index: number } | undefined;
    for (const step of steps) {
      const { failures } = contextOf(step);
      const counted = failures.filter(({ isOutage }) => !isOutage);
      expect(counted.length, 'what it counts is bounded').toBeLessThanOrEqual(policy.restartsMax);
      if (isIn(step, 'escalated')) expect(step.event, 'an outage is waited for').toMatchObject({ isOutage: false });
      if (step.event?.type === 'child.failed') {
        const { child, index } = step.event as unknown as { child: string; index: number };
        if (policy.strategy === 'oneForOne' || earliest === undefined || index < earliest.index) {
          earliest = { child, index };
        }
      }
      for (const { params } of step.intents)
        expect(params, 'the earliest that failed').toEqual({ child: earliest?.child });
      if (step.event?.type === 'children.started') earliest = undefined;
    }
  },
});

/** OTP: the failures within the period up to now, this one among them; more than the intensity allows end the supervisor. */
function exceedsAt(times: readonly number[], { restartsMax, periodMs }: { restartsMax: number; periodMs: number }) {
  return times.findIndex((now, index) => {
    const recent = times.slice(0, index + 1).filter((time) => time >= now - periodMs);
    return recent.length > restartsMax;
  });
}

interface Behaviour {
  /** Of each restart in turn. */
  readonly takesMs?: readonly number[];
  /** What comes of a restart: it succeeds, or fails for a reason inside or outside. */
  readonly ends?: () => 'started' | 'defect' | 'outage';
}

const children: readonly string[] = supervisionTree.children.map(({ id }) => id);
const root: SupervisionInput = supervisionTree.supervises;

/** A supervisor on a clock of its own, and what came of its restarts. */
function supervise(input: SupervisionInput, { takesMs = [0], ends = () => 'defect' }: Behaviour = {}) {
  const clock = createSimulatedClock();
  const { machine, take } = recordingOf(supervisionMachine);
  take();
  const actor = createActor(machine, { input, clock });
  const restarts: { readonly at: number; readonly child: string }[] = [];
  const escalations: string[] = [];
  const fail = (child: string, isOutage = false): void =>
    actor.send({ type: 'child.failed', child, index: children.indexOf(child), at: clock.now(), isOutage });
  const perform = (): void => {
    for (const { type, params } of take()) {
      const { child } = params as { child: string };
      if (type === 'escalate') escalations.push(child);
      if (type !== 'restartFrom') continue;
      const delayMs = takesMs[restarts.length % takesMs.length]!;
      restarts.push({ at: clock.now(), child });
      clock.setTimeout(() => {
        const end = ends();
        if (end === 'started') actor.send({ type: 'children.started' });
        else fail(child, end === 'outage');
      }, delayMs);
    }
  };
  actor.subscribe({ next: perform, complete: perform });
  actor.start();
  const waits = (): number[] => restarts.map(({ at }, index) => at - (restarts[index - 1]?.at ?? at));
  return { actor, clock, restarts, escalations, fail, waits };
}

describe('the intensity of restarts', () => {
  it('is that of OTP: as many failures as the maximum within a period are restarted, one more escalates', () => {
    const policies = fc.record({
      restartsMax: fc.integer({ min: 0, max: 8 }),
      periodMs: fc.integer({ min: 1, max: 500 }),
    });
    const runs = policies.chain((policy) => {
      const { periodMs } = policy;
      // Often at the very edge of the period.
      const gap = fc.oneof(fc.integer({ min: 0, max: periodMs }), fc.constantFrom(0, 1, periodMs, periodMs + 1));
      return fc.tuple(fc.constant(policy), fc.array(gap, { minLength: 1, maxLength: 30 }));
    });
    const property = fc.property(runs, ([policy, gaps]) => {
      let now = 1_000_000;
      const times = gaps.map((gap) => (now += gap));
      const exceeds = exceedsAt(times, policy);
      const answered = exceeds < 0 ? times : times.slice(0, exceeds + 1);
      const events = answered.map((at, index) => ({
        ...{ type: 'child.failed', child: `child ${index}`, index: 0, at, isOutage: false },
      }));
      const { machine } = models['supervision']!;
      const steps = playPath(machine, { input: { strategy: 'oneForOne', ...policy }, events });
      expect(steps.flatMap(({ intents }) => intents)).toEqual(
        events.map(({ child }, index) => ({
          type: index === exceeds ? 'escalate' : 'restartChild',
          params: { child },
        })),
      );
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('counts a restart that fails like a child that does', () => {
    for (const restartsMax of [0, 1, 2, 5]) {
      const run = supervise({ ...root, strategy: 'restForOne', backOffMs: 1, backOffMaxMs: 1, restartsMax });
      run.fail('directory');
      run.clock.advance(1000);
      expect(run.restarts).toHaveLength(restartsMax);
      expect(run.escalations).toEqual(['directory']);
    }
  });

  it('does not count an outage, before a failure or after it', () => {
    const policy = { strategy: 'restForOne', restartsMax: 1, periodMs: 1000, backOffMs: 1, backOffMaxMs: 1 } as const;
    const run = supervise(policy, { ends: () => 'started' });
    for (const isOutage of [true, true, false, true, true]) {
      run.fail('journal', isOutage);
      run.clock.advance(10);
    }
    expect([run.restarts.length, run.escalations]).toEqual([5, []]);
    run.fail('journal');
    expect(run.escalations, 'and still counts the others').toEqual(['journal']);
  });
});

describe('the wait before a restart', () => {
  it('is none at first, and doubles from the second restart on up to its maximum', () => {
    const figures = fc.record({
      backOffMs: fc.integer({ min: 1, max: 300 }),
      backOffMaxMs: fc.integer({ min: 1, max: 9000 }),
    });
    const property = fc.property(figures, ({ backOffMs, backOffMaxMs }) => {
      const run = supervise({ strategy: 'restForOne', restartsMax: 9, periodMs: 1_000_000, backOffMs, backOffMaxMs });
      run.fail('journal');
      run.clock.advance(200_000);
      const factors = [1, 2, 4, 8, 16, 32, 64, 128];
      expect(run.waits()).toEqual([0, ...factors.map((factor) => Math.min(backOffMs * factor, backOffMaxMs))]);
    });
    fc.assert(property, { numRuns: 50 });
  });

  it('is 0, 100, 200, ... milliseconds up to five seconds under the root', () => {
    const run = supervise(root, { ends: () => 'outage' });
    run.fail('journal', true);
    run.clock.advance(35_000);
    expect(run.waits()).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000]);
  });

  it('is none again for a child that fails after a quiet period', () => {
    let end: 'started' | 'defect' = 'defect';
    const run = supervise(root, { ends: () => end });
    run.fail('journal');
    run.clock.advance(3000);
    end = 'started';
    run.clock.advance(2 * root.periodMs);
    run.restarts.length = 0;
    run.fail('journal');
    const at = run.clock.now();
    run.clock.advance(0);
    expect(run.restarts).toEqual([{ at, child: 'journal' }]);
  });

  it('is never there under oneForOne', () => {
    const input = { strategy: 'oneForOne', restartsMax: 1, periodMs: 1000 } as const;
    const failed = { type: 'child.failed', child: 'session:s', index: 0, at: 0, isOutage: false };
    const last = playPath(supervisionMachine, { input, events: [failed] }).at(-1)!;
    expect([last.position.states, last.intents.map(({ type }) => type)]).toEqual([['running'], ['restartChild']]);
  });
});

describe('the root, with the figures of the tree', () => {
  it('never ends the process for a journal that stays unavailable, and goes on to try', () => {
    const times = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 20 });
    const property = fc.property(fc.oneof(fc.constant([0]), times), (takesMs) => {
      const run = supervise(root, { takesMs, ends: () => 'outage' });
      run.fail('journal', true);
      run.clock.advance(3 * 3_600_000);
      expect(run.escalations).toEqual([]);
      expect(run.clock.now() - run.restarts.at(-1)!.at, 'the last try').toBeLessThanOrEqual(25_000);
      const seldom = run.restarts.length / (3 * 3_600);
      expect(seldom, 'tries per second').toBeLessThan(0.21);
    });
    fc.assert(property, { numRuns: 20 });
  });

  it('never ends it either for a journal that opens and fails at once, again and again', () => {
    let tries = 0;
    const run = supervise(root, { ends: () => ((tries += 1) % 2 === 0 ? 'outage' : 'started') });
    for (let seconds = 0; seconds < 3600; seconds += 1) {
      if (run.actor.getSnapshot().matches('running')) run.fail('journal', true);
      run.clock.advance(1000);
    }
    expect(run.escalations).toEqual([]);
  });

  it('ends it within half a minute for a child in which a defect shows after every restart', () => {
    const run = supervise(root, { ends: () => 'started' });
    const startedAt = run.clock.now();
    while (run.escalations.length === 0 && run.restarts.length < 100) {
      run.fail('directory');
      run.clock.advance(root.strategy === 'restForOne' ? root.backOffMaxMs : 0);
    }
    expect(run.escalations).toEqual(['directory']);
    expect(run.clock.now() - startedAt).toBeLessThanOrEqual(60_000);
    const failing = supervise(root);
    failing.fail('directory');
    failing.clock.advance(30_000);
    expect(failing.escalations, 'or in every restart').toEqual(['directory']);
  });
});

describe('a restart under restForOne', () => {
  it('begins at the earliest child that failed since the last one that succeeded', () => {
    const failures = fc.array(fc.constantFrom(...children), { minLength: 1, maxLength: 6 });
    const last = children.at(-1)!;
    const property = fc.property(failures, (failed) => {
      let end: 'started' | 'defect' = 'defect';
      const run = supervise(root, { ends: () => end });
      run.fail(last);
      run.clock.advance(0);
      // That restart failed and the next one is waited for: what fails meanwhile is restarted with it.
      for (const child of failed) run.fail(child);
      end = 'started';
      run.clock.advance(10_000);
      const earliest = Math.min(...failed.map((child) => children.indexOf(child)));
      expect(run.restarts.at(-1)!.child).toBe(children[earliest]);
      expect(run.actor.getSnapshot().value).toBe('running');
      run.fail(last);
      run.clock.advance(10_000);
      expect(run.restarts.at(-1)!.child, 'and is forgotten then').toBe(last);
    });
    fc.assert(property, { numRuns: 50 });
  });
});
