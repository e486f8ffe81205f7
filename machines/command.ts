/**
 * The life of a command, from its frame to its one outcome: the protocol's truth about which answer may follow which.
 *
 * A command that is settled in one step is a record whose history is held against this chart; a command that runs a turn is
 * an actor of it, and the chart decides whether an outcome may still be recorded. Kind of state: durable.
 */
import { setup } from 'xstate';
import { MICROSTEPS_MAX } from './effect.ts';

export type CommandEvent =
  | { type: 'command.rejected' }
  | { type: 'command.admitted' }
  | { type: 'command.queued' }
  | { type: 'command.postponed' }
  | { type: 'dependencies.resolved' }
  | { type: 'command.started' }
  | { type: 'command.succeeded' }
  | { type: 'command.failed' }
  | { type: 'command.timedOut' }
  | { type: 'command.cancelled' };

export const commandMachine = setup({
  types: { events: {} as CommandEvent },
}).createMachine({
  id: 'command',
  version: '1',
  description: 'One command, from its frame to exactly one outcome.',
  options: { maxIterations: MICROSTEPS_MAX },
  initial: 'received',
  states: {
    received: {
      description: 'The frame is valid; whether the command is admitted is not decided yet.',
      on: { 'command.rejected': 'rejected', 'command.admitted': 'admitted' },
    },
    admitted: {
      description: 'Accepted: from here on there will be exactly one outcome.',
      initial: 'arriving',
      on: {
        'command.failed': 'failed',
        'command.timedOut': 'expired',
        'command.cancelled': 'cancelled',
      },
      states: {
        arriving: {
          description: 'On its way to its lane.',
          on: {
            'command.queued': 'queued',
            'command.postponed': 'waiting',
            'command.started': '#command.running',
          },
        },
        queued: {
          description: 'Behind other work in its lane, or behind the opening of its session.',
          on: { 'command.postponed': 'waiting', 'command.started': '#command.running' },
        },
        waiting: {
          description: 'A command that it depends on has no outcome yet.',
          on: { 'dependencies.resolved': 'queued' },
        },
      },
    },
    running: {
      description: 'At the head of its lane, acting.',
      on: {
        'command.succeeded': 'completed',
        'command.failed': 'failed',
        'command.timedOut': 'expired',
        'command.cancelled': 'cancelled',
      },
    },
    rejected: { type: 'final', description: 'Refused before admission; nothing happened and nothing is stored.' },
    completed: { type: 'final', description: 'Succeeded.' },
    failed: { type: 'final', description: 'Failed with a coded error.' },
    expired: { type: 'final', description: 'Timed out: it never starts later, and a late result changes nothing.' },
    cancelled: { type: 'final', description: 'Ended by an abort, a deletion, a drain or a crash.' },
  },
});
