/**
 * Looks after the journal while the server runs: one task at a time, by schedule and by command. After a failure the schedule
 * waits, longer each time; who asks by command does not. When a task is due is known to its host, which counts from the last
 * success, over restarts. Kind of state: volatile.
 */
import { assign, setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type HousekeepingEvent =
  | { type: 'backup.due' }
  | { type: 'backup.asked' }
  | { type: 'compaction.due' }
  | { type: 'compaction.asked' }
  | { type: 'retention.due' }
  | { type: 'retention.asked' }
  | { type: 'task.succeeded' }
  | { type: 'task.failed' };

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
    compact: effect('compact'),
    applyRetention: effect('applyRetention'),
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
      on: {
        'backup.due': 'backingUp',
        'backup.asked': 'backingUp',
        'compaction.due': 'compacting',
        'compaction.asked': 'compacting',
        'retention.due': 'retaining',
        'retention.asked': 'retaining',
      },
    },
    backingUp: {
      description: 'The journal is being copied, verified and put in place, beside the work of the server.',
      entry: 'backUp',
      on: {
        'task.succeeded': { target: 'idle', actions: 'forgetFailures' },
        'task.failed': { target: 'backingOff', actions: 'countFailure' },
      },
    },
    compacting: {
      description: 'Entries that are old are being dropped, lane by lane, beside the work of the server.',
      entry: 'compact',
      on: {
        'task.succeeded': { target: 'idle', actions: 'forgetFailures' },
        'task.failed': { target: 'backingOff', actions: 'countFailure' },
      },
    },
    retaining: {
      description: 'What is older or more than may be kept is being dropped, beside the work of the server.',
      entry: 'applyRetention',
      on: {
        'task.succeeded': { target: 'idle', actions: 'forgetFailures' },
        'task.failed': { target: 'backingOff', actions: 'countFailure' },
      },
    },
    backingOff: {
      description: 'A task failed: the schedule waits before it tries again.',
      on: { 'backup.asked': 'backingUp', 'compaction.asked': 'compacting', 'retention.asked': 'retaining' },
      after: { backOff: 'idle' },
    },
  },
});
