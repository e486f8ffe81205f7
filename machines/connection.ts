/**
 * A client's connection: greeted once the server is ready, then open; events stop when it reads too slowly, and it is
 * closed when it does not even take responses, or gives no sign of life. Kind of state: volatile.
 */
import { setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type ConnectionEvent =
  | { type: 'server.ready' }
  | { type: 'server.drained' }
  | { type: 'queue.exceeded' }
  | { type: 'queue.drained' }
  | { type: 'queue.overrun' }
  | { type: 'heartbeat.lost' }
  | { type: 'transport.closed' };

export const connectionMachine = setup({
  types: { events: {} as ConnectionEvent },
  actions: {
    sendGreeting: effect('sendGreeting'),
    closeTransport: effect<{ reason: 'goingAway' | 'tooSlow' | 'silent' }>('closeTransport'),
    forgetConnection: effect('forgetConnection'),
  },
}).createMachine({
  id: 'connection',
  version: '1',
  description: 'One connected client.',
  options: { maxIterations: MICROSTEPS_MAX },
  initial: 'greeting',
  on: { 'transport.closed': '.closed' },
  states: {
    greeting: {
      description: 'Connected before the server is ready: its frames are kept in order.',
      on: {
        'server.ready': { target: 'open', actions: 'sendGreeting' },
        'server.drained': 'closing',
        'heartbeat.lost': 'closing.silent',
      },
    },
    open: {
      description: 'Frames pass in both directions.',
      initial: 'flowing',
      on: {
        'server.drained': 'closing',
        'queue.overrun': 'closing.tooSlow',
        'heartbeat.lost': 'closing.silent',
      },
      states: {
        flowing: {
          description: 'The client reads as fast as it is written to.',
          on: { 'queue.exceeded': 'lagging' },
        },
        lagging: {
          description: 'The client fell behind: responses go on, events have stopped.',
          on: { 'queue.drained': 'flowing' },
        },
      },
    },
    closing: {
      description: 'The transport was told to close.',
      initial: 'goingAway',
      states: {
        goingAway: {
          description: 'The server drains.',
          entry: { type: 'closeTransport', params: { reason: 'goingAway' } },
        },
        tooSlow: {
          description: 'Not even responses were taken any more.',
          entry: { type: 'closeTransport', params: { reason: 'tooSlow' } },
        },
        silent: {
          description: 'No sign of life came any more.',
          entry: { type: 'closeTransport', params: { reason: 'silent' } },
        },
      },
    },
    closed: { type: 'final', description: 'The transport is gone.', entry: 'forgetConnection' },
  },
});
