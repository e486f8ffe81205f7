import { describe, expect, it } from 'vitest';
import { sessionMachine } from '../../machines/index.ts';
import { playPath } from '../../src/testing/play.ts';
import type { PlayedStep } from '../../src/testing/play.ts';
import { describeChart, intentsOf, isIn } from './chart-suite.ts';

const count = (names: readonly string[], name: string): number => names.filter((each) => each === name).length;
const times = (steps: readonly PlayedStep[], type: string): number =>
  steps.filter(({ event, taken }) => event?.type === type && taken.length > 0).length;

/** Children by state: an idle session has none, and only an engine that was called has a command and a turn. */
function childrenOf(step: PlayedStep, announced: boolean): string[] {
  const lease = announced ? ['lease'] : [];
  if (isIn(step, 'active.busy.waiting')) return ['lane', ...lease];
  if (isIn(step, 'active.busy.turn')) return ['command', 'lane', ...lease, 'turn'];
  if (isIn(step, 'active')) return lease;
  return isIn(step, 'closing') ? ['command', 'turn'] : [];
}

describeChart('session', {
  states: 12,
  transitions: 19,
  promise(steps) {
    const intents = intentsOf(steps);
    let announced = false;
    for (const step of steps) {
      if (step.taken.length > 0 && step.event?.type === 'expiry.announced') announced = true;
      if (step.taken.length > 0 && step.event?.type === 'lease.extended') announced = false;
      expect(step.position.children, step.event?.type).toEqual(childrenOf(step, announced));
    }
    expect(count(intents, 'forgetSession')).toBe(isIn(steps.at(-1)!, 'closed') ? 1 : 0);
    expect(count(intents, 'armDeadline')).toBe(times(steps, 'work.accepted'));
    expect(count(intents, 'callEngine')).toBe(times(steps, 'turn.started'));
    expect(count(intents, 'prepareEngine')).toBe(times(steps, 'engine.awaited'));
    expect(count(intents, 'signalAbort'), 'the turn aborts, the session only waits').toBe(0);
  },
});

describe('a session', () => {
  const input = { sessionId: 's-1', engine: 'echo', mailboxDepthMax: 3 };
  const opened = { type: 'session.opened' };
  const accepted = { type: 'work.accepted', commandId: 'c-7', deadlineAt: 1_000 };
  const started = { type: 'turn.started', commandId: 'c-7', attempt: 2 };

  it('passes on to its host and its children what the facts say', () => {
    const steps = playPath(sessionMachine, {
      input,
      events: [{ type: 'engine.awaited' }, opened, accepted, started],
    });
    expect(steps.flatMap(({ intents }) => intents)).toEqual([
      { type: 'prepareEngine', params: { engine: 'echo' } },
      { type: 'armDeadline', params: { commandId: 'c-7', deadlineAt: 1_000 } },
      { type: 'callEngine', params: { commandId: 'c-7', attempt: 2 } },
    ]);
    const { lane, turn } = steps.at(-1)!.snapshot.children;
    expect(lane!.getSnapshot().context).toEqual({ queued: 0, running: 0, depthMax: 3 });
    expect(turn!.getSnapshot().context).toEqual({ commandId: 'c-7', attempt: 2 });
  });

  it('starts a fresh lane, command and turn each time', () => {
    const settled = [accepted, started, { type: 'turn.settled' }, { type: 'work.drained' }];
    const [, ...rounds] = playPath(sessionMachine, {
      input,
      events: [opened, ...settled, ...settled, accepted, started],
    });
    const turns = rounds.filter(({ event }) => event === started).map(({ snapshot }) => snapshot.children['turn']);
    expect(new Set(turns).size).toBe(3);
    expect(turns.map((turn) => turn!.getSnapshot().status)).toEqual(['stopped', 'stopped', 'stopped']);
  });

  it('is not gone before its engine has let go', () => {
    const interrupted = [opened, accepted, started, { type: 'turn.interrupted' }, { type: 'session.closed' }];
    const before = playPath(sessionMachine, { input, events: interrupted });
    expect(intentsOf(before)).not.toContain('forgetSession');
    const after = playPath(sessionMachine, { input, events: [...interrupted, { type: 'engine.released' }] });
    expect(after.at(-1)!.intents).toEqual([{ type: 'forgetSession', params: { sessionId: 's-1' } }]);
  });
});
