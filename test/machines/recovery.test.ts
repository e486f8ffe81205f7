import { describe, expect, it } from 'vitest';
import { recoveryMachine } from '../../machines/index.ts';
import { playPath } from '../../src/testing/play.ts';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('recovery', {
  states: 7,
  transitions: 9,
  promise(steps) {
    const live = isIn(steps.at(-1)!, 'live');
    expect(intentsOf(steps), 'work goes back to its lanes once the classification is durable').toEqual(
      live ? ['requeueWork'] : [],
    );
    if (live) expect(steps.at(-1)!.event?.type).toBe('classification.committed');
  },
});

describe('a recovery', () => {
  it('counts the entries that it folds and the commands that it classifies', () => {
    const steps = playPath(recoveryMachine, {
      events: [
        { type: 'journal.opened', entries: 5 },
        { type: 'page.folded', entries: 3 },
        { type: 'page.folded', entries: 2 },
        { type: 'journal.folded' },
        { type: 'work.classified', commands: 4 },
      ],
    });
    expect(steps.at(-1)!.snapshot.context).toEqual({ folded: 5, entries: 5, classified: 4 });
  });
});
