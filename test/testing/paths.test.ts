import { assign, setup } from 'xstate';
import { describe, expect, it } from 'vitest';
import { modelOf } from '../../src/testing/model.ts';
import { pathsOf, reportPaths, verifyPath, verticesOf } from '../../src/testing/paths.ts';
import { pathTitle, playPath } from '../../src/testing/play.ts';
import { breakerMachine } from './breaker.ts';

const events = [
  { type: 'call.failed', fatal: true },
  { type: 'call.failed', fatal: false },
  { type: 'breaker.reset' },
] as const;
const breaker = modelOf(breakerMachine, { inputs: [{ failuresMax: 0 }, { failuresMax: 2 }], events });

describe('paths of a chart', () => {
  it('take every branch: of events, delays, invoked actors, eventless transitions and finished regions', () => {
    const report = reportPaths(breaker);
    expect(report).toMatchObject({
      machine: 'breaker',
      states: { total: 7, covered: 7 },
      transitions: { total: 8, covered: 8 },
      unreachable: [],
    });
    expect(pathsOf(breaker).map(pathTitle)).toContain('xstate.after.cooldown.breaker.open > xstate.done.actor.probe');
  });

  it('say with which input they start', () => {
    expect(new Set(reportPaths(breaker).paths.map(({ input }) => input))).toEqual(new Set(breaker.inputs));
  });

  it('cover on their own what the report says', () => {
    const report = reportPaths(breaker);
    const steps = report.paths.flatMap((path) => playPath(breakerMachine, path));
    expect(new Set(steps.flatMap(({ visited }) => visited)).size).toBe(report.states.covered);
    const taken = steps.flatMap((step) => step.taken.map((transition) => JSON.stringify(transition)));
    expect(new Set(taken).size).toBe(report.transitions.covered);
  });

  it('end with a step that takes something, and none begins another', () => {
    const paths = pathsOf(breaker);
    for (const path of paths) expect(verifyPath(breaker, path).at(-1)?.taken).not.toEqual([]);
    const texts = paths.map(({ input, events: steps }) => JSON.stringify([input, steps]).slice(0, -2));
    for (const text of texts) expect(texts.filter((other) => other.startsWith(text))).toEqual([text]);
  });

  it('record what a step wants done outside, and do none of it', () => {
    const [start, reset, failed] = playPath(breakerMachine, {
      input: { failuresMax: 0 },
      events: [{ type: 'breaker.reset' }, { type: 'call.failed', fatal: true }],
    });
    const alarm = { type: 'raiseAlarm', params: { failuresMax: 0 } };
    expect([start?.intents, reset?.intents, failed?.intents]).toEqual([[alarm], [], [alarm]]);
  });

  it('are refused when a branch is neither taken nor explained', () => {
    const timid = modelOf(breakerMachine, { inputs: [{ failuresMax: 2 }], events: [{ type: 'breaker.reset' }] });
    expect(() => reportPaths(timid)).toThrow(
      /^No path of 'breaker' takes .*, closed on call.failed \[0\], .* a reason/,
    );
  });

  it('list an explained branch with its reason', () => {
    const reason = 'Nobody configures it.';
    const unreachable = [{ state: 'checking', event: '', branch: 0, reason }];
    const report = reportPaths(modelOf(breakerMachine, { inputs: [{ failuresMax: 2 }], events, unreachable }));
    expect(report.unreachable).toEqual(unreachable);
    expect(report.transitions).toEqual({ total: 8, covered: 7 });
  });

  it('are refused when an explanation is no longer true', () => {
    const unreachable = [{ state: 'closed', event: 'call.failed', branch: 0, reason: 'It used to be.' }];
    const model = modelOf(breakerMachine, { inputs: [{ failuresMax: 0 }, { failuresMax: 2 }], events, unreachable });
    expect(() => reportPaths(model)).toThrow('lists closed on call.failed [0] as unreachable, and that is not so');
  });

  it('are refused when the projection lets the walk grow without end', () => {
    const counter = setup({
      types: { context: {} as { n: number }, events: {} as { type: 'grow' } },
      actions: { count: assign({ n: ({ context }) => context.n + 1 }) },
    }).createMachine({ id: 'counter', context: { n: 0 }, on: { grow: { actions: 'count' } } });
    const model = modelOf(counter, { events: [{ type: 'grow' }] });
    expect(() => verticesOf(model)).toThrow("The walk over 'counter' does not end");
  });

  it('fail with both positions when the actor does something else', () => {
    const [path] = pathsOf(breaker);
    const wrong = { ...path!, positions: path!.positions.map((at) => ({ ...at, states: ['closed'] })) };
    expect(() => verifyPath(breaker, wrong)).toThrow(
      /^The actor 'breaker' is at .*"open".* and should be at .*"closed"/,
    );
  });
});
