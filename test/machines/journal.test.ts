import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('journal', {
  states: 5,
  transitions: 7,
  promise(steps) {
    expect(intentsOf(steps), 'the chart shows what others do').toEqual([]);
    for (const [index, { event, snapshot }] of steps.entries()) {
      const step = steps[index]!;
      expect(snapshot.hasTag('writable')).toBe(isIn(step, 'writable'));
      if (event?.type === 'journal.failed') expect(isIn(step, 'unavailable'), 'a failure shows at once').toBe(true);
      if (event?.type === 'journal.opened') expect(isIn(step, 'writable'), 'to open it is the one way back').toBe(true);
    }
    const closed = steps.at(-1)!.event?.type === 'journal.closed';
    expect(isIn(steps.at(-1)!, 'closed'), 'it is over only when it was closed in order').toBe(closed);
  },
});
