import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('lease', {
  states: 6,
  transitions: 6,
  promise(steps, { input }) {
    expect(intentsOf(steps), 'what follows from it is the host’s business').toEqual([]);
    const { extensions: from, extensionsMax } = input as { extensions: number; extensionsMax: number };
    let announced = 0;
    let extended = from;
    for (const step of steps) {
      if (step.taken.length > 0 && step.event?.type === 'expiry.announced') announced += 1;
      if (step.taken.length > 0 && step.event?.type === 'lease.extended') {
        announced = 0;
        extended = Number(step.event['extensions']);
      }
      expect(extended, 'the cap holds').toBeLessThanOrEqual(extensionsMax);
      expect(announced, 'an end is announced once').toBeLessThanOrEqual(1);
      if (isIn(step, 'expiring.final')) expect(extended, 'only the last one is final').toBe(extensionsMax);
    }
  },
});
