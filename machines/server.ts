/**
 * The server as a whole: readiness and shutdown. Kind of state: volatile.
 */
import { setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type ServerEvent =
  | { type: 'recovery.completed' }
  | { type: 'recovery.refused' }
  | { type: 'drain.requested' }
  | { type: 'work.drained' }
  | { type: 'drain.expired' }
  | { type: 'work.ended' }
  | { type: 'journal.closed' }
  | { type: 'journal.failed' }
  | { type: 'core.failed' }
  | { type: 'restarts.exhausted' };

export const serverMachine = setup({
  types: { events: {} as ServerEvent },
  actions: {
    greetConnections: effect('greetConnections'),
    announceShutdown: effect('announceShutdown'),
    endWork: effect('endWork'),
    closeConnections: effect('closeConnections'),
  },
}).createMachine({
  id: 'server',
  version: '1',
  description: 'Readiness and shutdown of the server.',
  options: { maxIterations: MICROSTEPS_MAX },
  initial: 'starting',
  states: {
    starting: {
      description: 'Recovery runs; connections are kept waiting.',
      on: {
        'recovery.completed': { target: 'ready', actions: 'greetConnections' },
        'recovery.refused': 'failed',
        'drain.requested': 'draining',
        'journal.failed': 'failed',
      },
    },
    ready: {
      description: 'Commands are admitted.',
      tags: 'admitting',
      on: { 'drain.requested': 'draining', 'core.failed': 'rebuilding' },
    },
    rebuilding: {
      description: 'The journal failed, or a defect showed: what is in memory is folded again, and the clients stay.',
      on: { 'recovery.completed': 'ready', 'drain.requested': 'draining', 'restarts.exhausted': 'failed' },
    },
    draining: {
      description: 'New commands are refused; running turns may finish.',
      entry: 'announceShutdown',
      on: { 'work.drained': 'closing', 'drain.expired': 'ending', 'journal.failed': 'failed' },
    },
    ending: {
      description: 'The time to drain is over: what still runs is aborted.',
      entry: 'endWork',
      on: { 'work.ended': 'closing', 'journal.failed': 'failed' },
    },
    closing: {
      description: 'Everything has its outcome; connections are told to go and the journal is closed.',
      entry: 'closeConnections',
      on: { 'journal.closed': 'stopped', 'journal.failed': 'failed' },
    },
    stopped: { type: 'final', description: 'Stopped in order.' },
    failed: { type: 'final', description: 'It can not start, not go on, or not end in order: the process has to end.' },
  },
});
