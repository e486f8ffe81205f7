/**
 * The policy of a supervisor: restart what failed, wait longer each time, give up when it fails too often within a period.
 *
 * A supervisor whose children depend on each other (`restForOne`) restarts from the earliest that failed on, one restart at a
 * time; one whose children are independent (`oneForOne`) restarts each at once, by itself. Time comes in with the events. An
 * outage, whose reason lies outside, is waited for like any other failure and never given up: nothing above could mend it.
 * Kind of state: volatile.
 */
import { assign, setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

interface Intensity {
  /** Failures within the period that are still answered by a restart; outages are not counted. */
  readonly restartsMax: number;
  readonly periodMs: number;
}

interface OneForOne extends Intensity {
  readonly strategy: 'oneForOne';
}

interface RestForOne extends Intensity {
  readonly strategy: 'restForOne';
  /** The wait before the second restart within a period; the first one has none, and each after it waits twice as long. */
  readonly backOffMs: number;
  readonly backOffMaxMs: number;
}

export type SupervisionInput = OneForOne | RestForOne;

interface Failure {
  readonly at: number;
  readonly isOutage: boolean;
}

export interface SupervisionContext {
  readonly policy: SupervisionInput;
  /** Those within the period that were or are being restarted, oldest first; the back-off bounds how many outages there are. */
  readonly failures: readonly Failure[];
  /** Position of the child to restart from. */
  readonly from: number;
  readonly child: string;
}

export type SupervisionEvent =
  /** `index`: the child's position in the order of the start. `isOutage`: it can't do its work for a reason outside. */
  | { type: 'child.failed'; child: string; index: number; at: number; isOutage: boolean }
  | { type: 'children.started' }
  | { type: 'supervisor.stopped' };

type Failed = Extract<SupervisionEvent, { type: 'child.failed' }>;

export const supervisionMachine = setup({
  types: {
    context: {} as SupervisionContext,
    input: {} as SupervisionInput,
    events: {} as SupervisionEvent,
  },
  delays: {
    backOff: ({ context: { policy, failures } }) => {
      const repeated = failures.length - 1;
      if (policy.strategy === 'oneForOne' || repeated < 1) return 0;
      return Math.min(policy.backOffMs * 2 ** (repeated - 1), policy.backOffMaxMs);
    },
  },
  guards: {
    failsTooOften: ({ context: { policy, failures } }, { at, isOutage }: Failure) =>
      !isOutage && within(failures, at, policy.periodMs).filter((one) => !one.isOutage).length >= policy.restartsMax,
    restartsOneByOne: ({ context: { policy } }) => policy.strategy === 'oneForOne',
  },
  actions: {
    count: assign({
      failures: ({ context }, { at, isOutage }: Failed) => [
        ...within(context.failures, at, context.policy.periodMs),
        { at, isOutage },
      ],
    }),
    reachBack: assign({
      from: ({ context }, { index }: Failed) => Math.min(context.from, index),
      child: ({ context }, { child, index }: Failed) => (index < context.from ? child : context.child),
    }),
    forgetChild: assign({ from: Number.MAX_SAFE_INTEGER, child: '' }),
    restartChild: effect<{ child: string }>('restartChild'),
    restartFrom: effect<{ child: string }>('restartFrom'),
    escalate: effect<{ child: string }>('escalate'),
  },
}).createMachine({
  id: 'supervision',
  version: '1',
  description: 'What a supervisor does about a child that failed.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input }) => ({ policy: input, failures: [], from: Number.MAX_SAFE_INTEGER, child: '' }),
  initial: 'running',
  states: {
    running: {
      description: 'All children run, as far as it knows.',
      tags: 'supervising',
      on: {
        'child.failed': [
          {
            guard: { type: 'failsTooOften', params: ({ event }) => event },
            target: 'escalated',
            actions: { type: 'reachBack', params: ({ event }) => event },
          },
          {
            guard: 'restartsOneByOne',
            actions: [
              { type: 'count', params: ({ event }) => event },
              { type: 'restartChild', params: ({ event }) => ({ child: event.child }) },
            ],
          },
          {
            target: 'backingOff',
            actions: [
              { type: 'count', params: ({ event }) => event },
              { type: 'reachBack', params: ({ event }) => event },
            ],
          },
        ],
        'supervisor.stopped': 'stopped',
      },
    },
    backingOff: {
      description: 'Waits before it restarts what failed; the wait doubles with each failure within the period.',
      tags: 'supervising',
      after: { backOff: 'restarting' },
      on: {
        'child.failed': { actions: { type: 'reachBack', params: ({ event }) => event } },
        'supervisor.stopped': 'stopped',
      },
    },
    restarting: {
      description: 'The child that failed and those after it are being started in order.',
      tags: 'supervising',
      entry: { type: 'restartFrom', params: ({ context }) => ({ child: context.child }) },
      on: {
        'children.started': { target: 'running', actions: 'forgetChild' },
        'child.failed': [
          {
            guard: { type: 'failsTooOften', params: ({ event }) => event },
            target: 'escalated',
            actions: { type: 'reachBack', params: ({ event }) => event },
          },
          {
            target: 'backingOff',
            actions: [
              { type: 'count', params: ({ event }) => event },
              { type: 'reachBack', params: ({ event }) => event },
            ],
          },
        ],
        'supervisor.stopped': 'stopped',
      },
    },
    escalated: {
      type: 'final',
      description: 'Restarting does not help: the failure is handed up.',
      entry: { type: 'escalate', params: ({ context }) => ({ child: context.child }) },
    },
    stopped: { type: 'final', description: 'Told to stop; what fails from now on is not restarted.' },
  },
});

/** Those that are no older than a period, as OTP counts them. */
function within(failures: readonly Failure[], at: number, periodMs: number): Failure[] {
  return failures.filter((failure) => failure.at >= at - periodMs);
}
