import { describe, expect, it } from 'vitest';
import { models } from '../../src/testing/models.ts';
import { verticesOf } from '../../src/testing/paths.ts';
import { describeChart, isIn } from './chart-suite.ts';

const OUTCOMES = ['rejected', 'completed', 'failed', 'expired', 'cancelled'];

describeChart('command', {
  states: 12,
  transitions: 15,
  promise(steps) {
    const outcomes = steps.filter((step) => OUTCOMES.some((outcome) => isIn(step, outcome)));
    expect(outcomes.length, 'a path has at most one outcome').toBeLessThanOrEqual(1);
    for (const outcome of outcomes) {
      expect(outcome, 'and nothing after it').toBe(steps.at(-1));
      expect(outcome.position.status).toBe('done');
    }
    const ran = steps.some((step) => isIn(step, 'running'));
    if (isIn(steps.at(-1)!, 'completed')) expect(ran, 'what never started never succeeds').toBe(true);
    const admitted = steps.some(({ event }) => event?.type === 'command.admitted');
    if (isIn(steps.at(-1)!, 'rejected')) expect(admitted, 'what is admitted is never rejected').toBe(false);
  },
});

describe('a command', () => {
  it('can be brought to its outcome from wherever it is', () => {
    const successors = new Map(
      verticesOf(models['command']!).map(({ path, edges }) => [
        path.positions.at(-1)!.states.join(),
        edges.map(({ to }) => to.states.join()),
      ]),
    );
    const leadsOn = (state: string, seen = new Set<string>()): Set<string> => {
      for (const next of successors.get(state) ?? []) if (!seen.has(next)) leadsOn(next, seen.add(next));
      return seen;
    };
    for (const state of successors.keys()) {
      if (OUTCOMES.includes(state)) expect([...leadsOn(state)], `${state} has no successor`).toEqual([]);
      else expect([...leadsOn(state)], `from ${state}`).toEqual(expect.arrayContaining(OUTCOMES.slice(1)));
    }
    expect(leadsOn('admitted.arriving')).not.toContain('rejected');
  });
});
