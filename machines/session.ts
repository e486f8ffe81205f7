/**
 * A session: opened, then idle or busy with work, until it is closed and its engine has let go.
 *
 * Only what takes time passes through this chart. A command that is settled in one step changes the session's data and
 * leaves the chart where it is. Kind of state: durable.
 */
import { assertEvent, setup } from 'xstate';
import { commandMachine } from './command.ts';
import { effect, MICROSTEPS_MAX } from './effect.ts';
import { laneMachine } from './lane.ts';
import { leaseMachine } from './lease.ts';
import { turnMachine } from './turn.ts';

export type SessionEvent =
  | { type: 'engine.awaited' }
  | { type: 'session.opened' }
  | { type: 'opening.failed' }
  | { type: 'work.accepted'; commandId: string; deadlineAt: number | undefined }
  | { type: 'work.drained' }
  | { type: 'turn.started'; commandId: string; attempt: number }
  | { type: 'turn.settled' }
  | { type: 'turn.interrupted' }
  | { type: 'engine.released' }
  | { type: 'expiry.announced'; extensions: number; extensionsMax: number }
  | { type: 'lease.extended' }
  | { type: 'session.expired' }
  | { type: 'session.closed' };

export interface SessionInput {
  readonly sessionId: string;
  readonly engine: string;
  readonly mailboxDepthMax: number;
}

const effects = setup({
  types: {
    context: {} as SessionInput,
    events: {} as SessionEvent,
    input: {} as SessionInput,
    children: {} as { lane: 'lane'; command: 'command'; turn: 'turn'; lease: 'lease' },
  },
  actors: { lane: laneMachine, command: commandMachine, turn: turnMachine, lease: leaseMachine },
  actions: {
    prepareEngine: effect<{ engine: string }>('prepareEngine'),
    armDeadline: effect<{ commandId: string; deadlineAt: number | undefined }>('armDeadline'),
    forgetSession: effect<{ sessionId: string }>('forgetSession'),
  },
});

/**
 * Children: the lane while it is not idle, command and turn while an engine holds it, the lease while its end is near. An idle
 * session far from its end has none.
 */
const session = effects.extend({
  actions: {
    spawnLane: effects.spawnChild('lane', {
      id: 'lane',
      input: ({ context }) => ({ depthMax: context.mailboxDepthMax }),
    }),
    stopLane: effects.stopChild('lane'),
    spawnCommand: effects.spawnChild('command', { id: 'command' }),
    spawnTurn: effects.spawnChild('turn', {
      id: 'turn',
      input: ({ event }) => {
        assertEvent(event, 'turn.started');
        return { commandId: event.commandId, attempt: event.attempt };
      },
    }),
    stopTurn: effects.enqueueActions(({ enqueue }) => {
      enqueue.stopChild('turn');
      enqueue.stopChild('command');
    }),
    spawnLease: effects.spawnChild('lease', {
      id: 'lease',
      input: ({ event }) => {
        assertEvent(event, 'expiry.announced');
        return { extensions: event.extensions, extensionsMax: event.extensionsMax };
      },
    }),
    stopLease: effects.stopChild('lease'),
  },
});

export const sessionMachine = session.createMachine({
  id: 'session',
  version: '2',
  description: 'A session, from the command that creates it until its engine has let go of it.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input }) => input,
  initial: 'opening',
  states: {
    opening: {
      description: 'The first work of the mailbox: the session does not exist yet.',
      on: { 'session.opened': 'active', 'engine.awaited': 'preparing', 'opening.failed': 'closed' },
    },
    preparing: {
      description: 'The engine is loading; what was pipelined behind the creation waits.',
      entry: { type: 'prepareEngine', params: ({ context }) => ({ engine: context.engine }) },
      on: { 'session.opened': 'active', 'opening.failed': 'closed' },
    },
    active: {
      description: 'The session exists and takes commands.',
      initial: 'idle',
      exit: 'stopLease',
      on: { 'expiry.announced': { actions: 'spawnLease' }, 'lease.extended': { actions: 'stopLease' } },
      states: {
        idle: {
          description: 'No work waits or runs; commands are settled as they come.',
          on: {
            'work.accepted': {
              target: 'busy',
              actions: {
                type: 'armDeadline',
                params: ({ event: { commandId, deadlineAt } }) => ({ commandId, deadlineAt }),
              },
            },
            'session.expired': '#session.closed',
            'session.closed': '#session.closed',
          },
        },
        busy: {
          description: 'Work waits or runs, and keeps the session alive beyond its deadline.',
          initial: 'waiting',
          entry: 'spawnLane',
          exit: 'stopLane',
          on: {
            'work.accepted': {
              actions: {
                type: 'armDeadline',
                params: ({ event: { commandId, deadlineAt } }) => ({ commandId, deadlineAt }),
              },
            },
          },
          states: {
            waiting: {
              description: 'The head of the lane waits for a dependency or is about to start.',
              on: {
                'turn.started': {
                  target: 'turn',
                  actions: ['spawnCommand', 'spawnTurn'],
                },
                'work.drained': '#session.active.idle',
                'session.closed': '#session.closed',
              },
            },
            turn: {
              description: 'An engine holds the lane.',
              initial: 'running',
              states: {
                running: {
                  description: 'The command has no outcome yet.',
                  on: {
                    'turn.settled': { target: '#session.active.busy.waiting', actions: 'stopTurn' },
                    'turn.interrupted': 'releasing',
                  },
                },
                releasing: {
                  description: 'The command was ended from outside; the engine has not let go yet.',
                  on: {
                    'engine.released': { target: '#session.active.busy.waiting', actions: 'stopTurn' },
                    'session.closed': '#session.closing',
                  },
                },
              },
            },
          },
        },
      },
    },
    closing: {
      description: 'Forgotten by clients; the engine of the last turn has not let go yet.',
      on: { 'engine.released': { target: 'closed', actions: 'stopTurn' } },
    },
    closed: {
      type: 'final',
      description: 'Gone: a session under the same id is another one.',
      entry: { type: 'forgetSession', params: ({ context }) => ({ sessionId: context.sessionId }) },
    },
  },
});
