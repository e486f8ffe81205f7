/**
 * Whether a client that says nothing is still there: a ping after each rest, and an end when neither a pong nor any other
 * sign of life comes in time.
 *
 * Bytes that moved count as well, because a pong can be late through no fault of the client: it can't answer in the middle
 * of a large frame of its own, nor before it has read what was queued for it before the ping. Kind of state: volatile.
 */
import { assign, setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type HeartbeatEvent =
  | { type: 'pong.received' }
  /** `progress` is any figure that changes when the client takes or gives bytes. */
  | { type: 'progress.read'; progress: number };

export interface HeartbeatInput {
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

export const heartbeatMachine = setup({
  types: {
    context: {} as HeartbeatInput & { readonly progress: number },
    events: {} as HeartbeatEvent,
    input: {} as HeartbeatInput,
  },
  delays: {
    heartbeatInterval: ({ context }) => context.heartbeatIntervalMs,
    heartbeatTimeout: ({ context }) => context.heartbeatTimeoutMs,
  },
  guards: {
    hasProgressed: ({ context }, { progress }: { progress: number }) => progress !== context.progress,
  },
  actions: {
    /** Its host answers at once with the progress so far. */
    sendPing: effect('sendPing'),
    /** Its host answers when it has read what came in meanwhile. */
    readProgress: effect('readProgress'),
    endConnection: effect('endConnection'),
    rememberProgress: assign({ progress: (_, params: { progress: number }) => params.progress }),
  },
}).createMachine({
  id: 'heartbeat',
  version: '1',
  description: 'The signs of life of one client.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input: { heartbeatIntervalMs, heartbeatTimeoutMs } }) => ({
    heartbeatIntervalMs,
    heartbeatTimeoutMs,
    progress: 0,
  }),
  initial: 'resting',
  states: {
    resting: {
      description: 'Nothing is asked: the client is taken to be there.',
      after: { heartbeatInterval: 'awaiting' },
    },
    awaiting: {
      description: 'A ping is on its way, and its pong is not here.',
      entry: 'sendPing',
      initial: 'listening',
      on: { 'pong.received': 'resting' },
      states: {
        listening: {
          description: 'The client has time for a pong, or for any byte.',
          on: {
            'progress.read': {
              actions: { type: 'rememberProgress', params: ({ event }) => ({ progress: event.progress }) },
            },
          },
          after: { heartbeatTimeout: 'reading' },
        },
        reading: {
          description: 'Time is up, and a process that was blocked or asleep reads what came in before it judges.',
          entry: 'readProgress',
          on: {
            'progress.read': [
              {
                guard: { type: 'hasProgressed', params: ({ event }) => ({ progress: event.progress }) },
                target: 'listening',
                actions: { type: 'rememberProgress', params: ({ event }) => ({ progress: event.progress }) },
              },
              { target: '#heartbeat.lost' },
            ],
          },
        },
      },
    },
    lost: { type: 'final', description: 'The client gave no sign of life.', entry: 'endConnection' },
  },
});
