import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('housekeeping', {
  states: 6,
  transitions: 16,
  promise(steps) {
    for (const [index, step] of steps.entries()) {
      const before = steps[index - 1];
      if (before === undefined || step.taken.length === 0) continue;
      const begins = isIn(step, 'backingUp');
      expect(intentsOf([step]).includes('backUp'), 'a task begins exactly where its state does').toBe(begins);
      const compacts = isIn(step, 'compacting');
      expect(intentsOf([step]).includes('compact'), 'and so does the other').toBe(compacts);
      const retains = isIn(step, 'retaining');
      expect(intentsOf([step]).includes('applyRetention'), 'and the third one').toBe(retains);
      const busy = ['backingUp', 'compacting', 'retaining'].some((state) => isIn(before, state));
      if (begins || compacts || retains) expect(busy, 'one at a time').toBe(false);
      if (isIn(before, 'backingOff') && (begins || compacts || retains))
        expect(step.event?.type, 'the schedule waits').toMatch(/[.]asked$/);
      expect(intentsOf([step]).includes('schedule'), 'the timer is set whenever nothing runs').toBe(isIn(step, 'idle'));
    }
    const failed = steps.filter(({ event, taken }) => event?.type === 'task.failed' && taken.length > 0).length;
    const { failures } = steps.at(-1)!.snapshot.context as { failures: number };
    expect(failures).toBeLessThanOrEqual(failed);
  },
});
