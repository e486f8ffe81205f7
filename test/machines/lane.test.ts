import fc from 'fast-check';
import { createActor } from 'xstate';
import { describe, expect, it } from 'vitest';
import { countLane, laneMachine } from '../../machines/lane.ts';
import type { LaneCounts, LaneEvent } from '../../machines/lane.ts';
import type { PlayedStep } from '../../src/testing/play.ts';
import { describeChart, isIn } from './chart-suite.ts';

const contextOf = (step: PlayedStep): LaneCounts => step.snapshot.context as LaneCounts;

describeChart('lane', {
  states: 5,
  transitions: 23,
  promise(steps) {
    for (const [index, step] of steps.entries()) {
      const { queued, running, depthMax } = contextOf(step);
      expect(Math.min(queued, running), 'no count is negative').toBeGreaterThanOrEqual(0);
      expect(running, 'one runs at a time').toBeLessThanOrEqual(1);
      expect(queued + running, 'the mailbox is bounded').toBeLessThanOrEqual(depthMax);
      expect(isIn(step, shownFor(contextOf(step), isIn(step, 'paused'))), JSON.stringify(contextOf(step))).toBe(true);
      if (step.event?.type === 'work.started' && step.taken.length > 0) {
        expect(contextOf(steps[index - 1]!).running, 'none starts beside another').toBe(0);
        expect(isIn(step, 'paused'), 'none starts while the lane is paused').toBe(false);
      }
    }
  },
});

/** The state that a lane with these counts has to show. */
function shownFor({ queued, running, depthMax }: LaneCounts, paused: boolean): string {
  if (paused) return 'paused';
  if (queued + running === 0) return 'idle';
  return queued + running === depthMax ? 'full' : 'busy';
}

/** A lane as one would write it without a chart: commands in a row, the head running or not, paused or not. */
interface PlainLane {
  readonly waiting: number[];
  head: number | undefined;
  paused: boolean;
}

/** Does what the event says where that makes sense, and says whether it did. */
function apply(lane: PlainLane, { type }: LaneEvent, depthMax: number, id: number): boolean {
  switch (type) {
    case 'work.queued':
      return lane.waiting.length + (lane.head === undefined ? 0 : 1) < depthMax && lane.waiting.push(id) > 0;
    case 'work.started':
      if (lane.paused || lane.head !== undefined || lane.waiting.length === 0) return false;
      lane.head = lane.waiting.shift();
      return true;
    case 'work.finished':
      if (lane.head === undefined) return false;
      lane.head = undefined;
      return true;
    case 'work.withdrawn':
      return lane.waiting.pop() !== undefined;
    case 'lane.paused':
    case 'lane.resumed': {
      const changed = lane.paused !== (type === 'lane.paused');
      lane.paused = type === 'lane.paused';
      return changed;
    }
    default:
      return type satisfies never;
  }
}

const EVENTS: readonly LaneEvent['type'][] = [
  'work.queued',
  'work.started',
  'work.finished',
  'work.withdrawn',
  'lane.paused',
  'lane.resumed',
];

describe('a lane', () => {
  it('takes what a plain queue would take, counts as the reducer counts, and shows the state of its counts', () => {
    const events = fc.array(fc.constantFrom(...EVENTS), { maxLength: 120 });
    const property = fc.property(fc.integer({ min: 1, max: 6 }), events, (depthMax, types) => {
      const actor = createActor(laneMachine, { input: { depthMax } }).start();
      const plain: PlainLane = { waiting: [], head: undefined, paused: false };
      let counts: LaneCounts = { queued: 0, running: 0, depthMax };
      for (const [id, type] of types.entries()) {
        const taken = apply(plain, { type }, depthMax, id);
        expect(actor.getSnapshot().can({ type }), `${type} with ${JSON.stringify(counts)}`).toBe(taken);
        if (taken) counts = countLane(counts, { type });
        actor.send({ type });
        const snapshot = actor.getSnapshot();
        expect(snapshot.context).toEqual(counts);
        expect(counts).toEqual({ queued: plain.waiting.length, running: plain.head === undefined ? 0 : 1, depthMax });
        expect(snapshot.value).toBe(shownFor(counts, plain.paused));
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});
