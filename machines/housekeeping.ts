/**
 * Looks after the journal while the server runs: one task at a time, by schedule and by command. After a failure the schedule
 * waits, longer each time; who asks by command does not. When a task is due is known to its host, which counts from the last
 * success, over restarts. Kind of state: volatile.
 */
import { assign, setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type HousekeepingEvent =
  { type: 'backup.due' } | { type: 'backup.asked' } | { type: 'task.succeeded' } | { type: 'task.failed' };

export interface HousekeepingInput {
  readonly backOffMs: number;
  readonly backOffMaxMs: number;
}

export const housekeepingMachine = setup({
  types: {
    context: {} as HousekeepingInput & { readonly failures: number },
    events: {} as HousekeepingEvent,
    input: {} as HousekeepingInput,
  },
  delays: {
    backOff: ({ context }) => Math.min(context.backOffMaxMs, context.backOffMs * 2 ** (context.failures - 1)),
  },
  actions: {
    /** Its host arms a timer for what is due next, or says at once that it is. */
    schedule: effect('schedule'),
    backUp: effect('backUp'),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailures: assign({ failures: 0 }),
  },
}).createMachine({
  id: 'housekeeping',
  version: '1',
  description: 'What keeps the journal safe while nobody looks.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input: { backOffMs, backOffMaxMs } }) => ({ backOffMs, backOffMaxMs, failures: 0 }),
  initial: 'idle',
  states: {
    idle: {
      description: 'Nothing runs; a timer is set for what is due next.',
      entry: 'schedule',
      on: { 'backup.due': 'backingUp', 'backup.asked': 'backingUp' },
    },
    backingUp: {
      description: 'The journal is being copied, verified and put in place, beside the work of the server.',
      entry: 'backUp',
      on: {
        'task.succeeded': { target: 'idle', actions: 'forgetFailures' },
        'task.failed': { target: 'backingOff', actions: 'countFailure' },
      },
    },
    backingOff: {
      description: 'A task failed: the schedule waits before it tries again.',
      on: { 'backup.asked': 'backingUp' },
      after: { backOff: 'idle' },
    },
  },
});
