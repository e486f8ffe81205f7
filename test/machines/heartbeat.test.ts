import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('heartbeat', {
  states: 6,
  transitions: 6,
  promise(steps) {
    const intents = intentsOf(steps);
    const pings = intents.filter((each) => each === 'sendPing').length;
    const asked = steps.filter(({ event }) => event?.type.startsWith('xstate.after.heartbeatInterval')).length;
    expect(pings, 'one ping for each rest that is over').toBe(asked);
    const lost = isIn(steps.at(-1)!, 'lost');
    expect(intents.includes('endConnection'), 'the connection ends exactly when the client is lost').toBe(lost);
    if (lost) expect(intents.at(-1)).toBe('endConnection');

    for (const [index, step] of steps.entries()) {
      if (!isIn(step, 'lost')) continue;
      const before = steps[index - 1]!;
      expect(isIn(before, 'awaiting.reading'), 'nobody is lost before everything was read').toBe(true);
      expect(step.event, 'nobody is lost while bytes move').toMatchObject({
        progress: before.snapshot.context.progress,
      });
    }
  },
});
