/**
 * One run of an engine, from the call to the moment when the engine has let go.
 *
 * The outcome of the command and the end of the engine are two things: an interrupted turn has its outcome at once, and the
 * lane stays held until the engine has let go. Kind of state: durable.
 */
import { setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type TurnEvent =
  | { type: 'engine.spoke' }
  | { type: 'turn.completed' }
  | { type: 'turn.failed' }
  | { type: 'turn.interrupted' }
  | { type: 'engine.released' };

export interface TurnInput {
  readonly commandId: string;
  readonly attempt: number;
}

export const turnMachine = setup({
  types: {
    context: {} as TurnInput,
    events: {} as TurnEvent,
    input: {} as TurnInput,
  },
  actions: {
    callEngine: effect<TurnInput>('callEngine'),
    signalAbort: effect<TurnInput>('signalAbort'),
  },
}).createMachine({
  id: 'turn',
  version: '1',
  description: 'One run of an engine.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input }) => ({ commandId: input.commandId, attempt: input.attempt }),
  initial: 'starting',
  states: {
    starting: {
      description: 'The engine is asked as soon as the start is durable; it has not spoken yet.',
      entry: { type: 'callEngine', params: ({ context }) => context },
      on: {
        'engine.spoke': 'streaming',
        'turn.completed': 'completed',
        'turn.failed': 'failed',
        'turn.interrupted': 'releasing',
      },
    },
    streaming: {
      description: 'The engine speaks; its durable events are numbered and journalled.',
      on: { 'turn.completed': 'completed', 'turn.failed': 'failed', 'turn.interrupted': 'releasing' },
    },
    releasing: {
      description: 'The command has its outcome; the engine was told to stop and has not let go yet.',
      entry: { type: 'signalAbort', params: ({ context }) => context },
      on: { 'engine.released': 'interrupted' },
    },
    completed: { type: 'final', description: 'The engine finished the turn.' },
    failed: { type: 'final', description: 'The engine gave up, and said why.' },
    interrupted: { type: 'final', description: 'The turn was ended from outside, and the engine has let go.' },
  },
});
