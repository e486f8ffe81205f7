import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

/** What a shutdown does, in this order; each step once at most. */
const SHUTDOWN = ['announceShutdown', 'endWork', 'closeConnections'];

describeChart('server', {
  states: 9,
  transitions: 16,
  promise(steps) {
    const intents = intentsOf(steps);
    const shutdown = intents.filter((name) => SHUTDOWN.includes(name));
    expect(shutdown).toEqual(SHUTDOWN.filter((name) => shutdown.includes(name)));
    expect(shutdown.includes('announceShutdown')).toBe(steps.some((step) => isIn(step, 'draining')));
    expect(shutdown.includes('endWork'), 'work is ended when its time is over').toBe(
      steps.some((step) => isIn(step, 'ending')),
    );
    if (intents.includes('greetConnections')) expect(intents.indexOf('greetConnections')).toBe(0);
    if (shutdown.length > 0) expect(shutdown[0], 'clients hear of it before anything ends').toBe('announceShutdown');

    const rebuilt = steps.findIndex((step) => isIn(step, 'rebuilding'));
    if (rebuilt >= 0) expect(intents.slice(1), 'clients are greeted once: they stay').not.toContain('greetConnections');

    const draining = steps.findIndex((step) => isIn(step, 'draining'));
    for (const [index, step] of steps.entries()) {
      const admits = step.snapshot.hasTag('admitting');
      expect(admits).toBe(isIn(step, 'ready'));
      if (draining >= 0 && index >= draining) expect(admits, 'a drain admits nothing any more').toBe(false);
    }
    const last = steps.at(-1)!;
    if (isIn(last, 'stopped')) expect(intents.at(-1), 'connections go before the journal').toBe('closeConnections');
    const exhausted = steps.some(({ event }) => event?.type === 'restarts.exhausted');
    if (exhausted && isIn(last, 'failed')) expect(rebuilt, 'nothing gives up before it was tried').toBeGreaterThan(0);
    if (isIn(last, 'failed')) expect(last.intents, 'a failed journal causes nothing here').toEqual([]);
  },
});
