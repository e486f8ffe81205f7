import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('turn', {
  states: 7,
  transitions: 8,
  promise(steps, { input }) {
    const [first, ...later] = intentsOf(steps);
    expect(first, 'the engine is called first').toBe('callEngine');
    expect(later.length, 'and told to stop once at most').toBeLessThanOrEqual(1);
    expect(later.filter((type) => type !== 'signalAbort')).toEqual([]);
    for (const { intents } of steps) for (const { params } of intents) expect(params).toEqual(input);

    const last = steps.at(-1)!;
    const interrupted = steps.some(({ event }) => event?.type === 'turn.interrupted');
    expect(later.length, 'a stop and nothing else makes it stop').toBe(interrupted ? 1 : 0);
    if (isIn(last, 'completed') || isIn(last, 'failed'))
      expect(interrupted, 'a late result changes nothing').toBe(false);
    if (isIn(last, 'interrupted')) expect(last.event?.type, 'the engine has let go').toBe('engine.released');
  },
});
