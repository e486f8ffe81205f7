/**
 * The work lane of a session: FIFO, one at a time, bounded.
 *
 * The arithmetic is a plain reducer (`countLane`), because every queued command passes it; the chart shows its states and
 * decides two things: whether one more command may be queued, and whether the next one may start. The chart runs as an actor
 * while the lane is not idle. Kind of state: rebuildable.
 */
import { assign, setup } from 'xstate';
import { MICROSTEPS_MAX } from './effect.ts';

export type LaneEvent =
  | { type: 'work.queued' }
  | { type: 'work.started' }
  | { type: 'work.finished' }
  | { type: 'work.withdrawn' }
  | { type: 'lane.paused' }
  | { type: 'lane.resumed' };

export interface LaneCounts {
  /** Commands that wait for the head. */
  readonly queued: number;
  /** 1 while the head is acting. */
  readonly running: number;
  readonly depthMax: number;
}

export interface LaneInput {
  readonly depthMax: number;
}

/** The arithmetic of a lane. Only for an event that the chart takes: whether it may come is the chart's decision. */
export function countLane(counts: LaneCounts, event: LaneEvent): LaneCounts {
  switch (event.type) {
    case 'work.queued':
      return { ...counts, queued: counts.queued + 1 };
    case 'work.started':
      return { ...counts, queued: counts.queued - 1, running: 1 };
    case 'work.finished':
      return { ...counts, running: 0 };
    case 'work.withdrawn':
      return { ...counts, queued: counts.queued - 1 };
    case 'lane.paused':
    case 'lane.resumed':
      return counts;
    default:
      return event satisfies never;
  }
}

const depth = (counts: LaneCounts): number => counts.queued + counts.running;

export const laneMachine = setup({
  types: {
    context: {} as LaneCounts,
    events: {} as LaneEvent,
    input: {} as LaneInput,
  },
  actions: { count: assign(({ context, event }) => countLane(context, event)) },
  guards: {
    fillsUp: ({ context }) => depth(context) + 1 >= context.depthMax,
    isLastRunning: ({ context }) => context.running === 1 && context.queued === 0,
    isLastQueued: ({ context }) => context.running === 0 && context.queued === 1,
    isFull: ({ context }) => depth(context) >= context.depthMax,
    isEmpty: ({ context }) => depth(context) === 0,
    hasHead: ({ context }) => context.queued > 0 && context.running === 0,
    hasRoom: ({ context }) => depth(context) < context.depthMax,
    hasQueued: ({ context }) => context.queued > 0,
    isRunning: ({ context }) => context.running === 1,
  },
}).createMachine({
  id: 'lane',
  version: '1',
  description: 'The work lane of a session.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input }) => ({ queued: 0, running: 0, depthMax: input.depthMax }),
  initial: 'idle',
  states: {
    idle: {
      description: 'Nothing waits and nothing runs.',
      on: {
        'work.queued': [
          { guard: 'fillsUp', target: 'full', actions: 'count' },
          { target: 'busy', actions: 'count' },
        ],
        'lane.paused': 'paused',
      },
    },
    busy: {
      description: 'Work waits or runs, and there is room for more.',
      on: {
        'work.queued': [{ guard: 'fillsUp', target: 'full', actions: 'count' }, { actions: 'count' }],
        'work.started': { guard: 'hasHead', actions: 'count' },
        'work.finished': [
          { guard: 'isLastRunning', target: 'idle', actions: 'count' },
          { guard: 'isRunning', actions: 'count' },
        ],
        'work.withdrawn': [
          { guard: 'isLastQueued', target: 'idle', actions: 'count' },
          { guard: 'hasQueued', actions: 'count' },
        ],
        'lane.paused': 'paused',
      },
    },
    full: {
      description: 'As many commands as the mailbox holds: one more is refused.',
      on: {
        'work.started': { guard: 'hasHead', actions: 'count' },
        'work.finished': [
          { guard: 'isLastRunning', target: 'idle', actions: 'count' },
          { guard: 'isRunning', target: 'busy', actions: 'count' },
        ],
        'work.withdrawn': [
          { guard: 'isLastQueued', target: 'idle', actions: 'count' },
          { guard: 'hasQueued', target: 'busy', actions: 'count' },
        ],
        'lane.paused': 'paused',
      },
    },
    paused: {
      description: 'An aborted turn has not let go of the engine yet: work may queue, none may start.',
      on: {
        'work.queued': { guard: 'hasRoom', actions: 'count' },
        'work.finished': { guard: 'isRunning', actions: 'count' },
        'work.withdrawn': { guard: 'hasQueued', actions: 'count' },
        'lane.resumed': [{ guard: 'isEmpty', target: 'idle' }, { guard: 'isFull', target: 'full' }, { target: 'busy' }],
      },
    },
  },
});
