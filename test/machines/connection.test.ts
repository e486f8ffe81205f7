import { expect } from 'vitest';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

describeChart('connection', {
  states: 10,
  transitions: 9,
  promise(steps) {
    const intents = intentsOf(steps);
    for (const name of ['sendGreeting', 'closeTransport', 'forgetConnection']) {
      expect(intents.filter((each) => each === name).length, `${name} once at most`).toBeLessThanOrEqual(1);
    }
    const opened = steps.some((step) => isIn(step, 'open'));
    expect(intents.includes('sendGreeting'), 'a client is greeted exactly when the connection opens').toBe(opened);
    const closing = steps.some((step) => isIn(step, 'closing'));
    expect(intents.includes('closeTransport'), 'the transport is told once it has to close').toBe(closing);
    const closed = isIn(steps.at(-1)!, 'closed');
    expect(intents.includes('forgetConnection'), 'a connection is forgotten when its transport is gone').toBe(closed);
    if (closed) expect(intents.at(-1)).toBe('forgetConnection');

    const [told] = steps.flatMap((step) => step.intents).filter(({ type }) => type === 'closeTransport');
    const overrun = steps.some(({ event, taken }) => event?.type === 'queue.overrun' && taken.length > 0);
    const silent = steps.some(({ event, taken }) => event?.type === 'heartbeat.lost' && taken.length > 0);
    const reason = overrun ? 'tooSlow' : silent ? 'silent' : 'goingAway';
    if (told) expect(told.params).toEqual({ reason });
  },
});
