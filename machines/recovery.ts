/**
 * A boot: read the journal, fold it, classify what was in flight, announce, go live. Kind of state: rebuildable.
 */
import { assign, setup } from 'xstate';
import { effect, MICROSTEPS_MAX } from './effect.ts';

export type RecoveryEvent =
  | { type: 'journal.opened'; entries: number }
  | { type: 'journal.refused' }
  | { type: 'page.folded'; entries: number }
  | { type: 'journal.folded' }
  | { type: 'work.classified'; commands: number }
  | { type: 'classification.committed' };

export interface RecoveryContext {
  /** Entries folded so far, and how many there are. */
  readonly folded: number;
  readonly entries: number;
  readonly classified: number;
}

export const recoveryMachine = setup({
  types: { context: {} as RecoveryContext, events: {} as RecoveryEvent },
  actions: {
    expect: assign({ entries: (_, params: { entries: number }) => params.entries }),
    advance: assign({
      folded: ({ context }, params: { entries: number }) => context.folded + params.entries,
    }),
    count: assign({ classified: (_, params: { commands: number }) => params.commands }),
    requeueWork: effect('requeueWork'),
  },
}).createMachine({
  id: 'recovery',
  version: '1',
  description: 'What a boot does before the first command is admitted.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: { folded: 0, entries: 0, classified: 0 },
  initial: 'opening',
  states: {
    opening: {
      description: 'The journal is being locked and checked.',
      on: {
        'journal.opened': {
          target: 'folding',
          actions: { type: 'expect', params: ({ event }) => ({ entries: event.entries }) },
        },
        'journal.refused': 'refused',
      },
    },
    folding: {
      description: 'Entries are read in order of their offsets and folded into outcomes, keys, versions and sessions.',
      on: {
        'page.folded': { actions: { type: 'advance', params: ({ event }) => ({ entries: event.entries }) } },
        'journal.folded': 'classifying',
        'journal.refused': 'refused',
      },
    },
    classifying: {
      description: 'Commands without an outcome are classified; each classification is an entry.',
      on: {
        'work.classified': {
          target: 'announcing',
          actions: { type: 'count', params: ({ event }) => ({ commands: event.commands }) },
        },
        'journal.refused': 'refused',
      },
    },
    announcing: {
      description: 'The classification is being made durable, so that the next boot finds nothing to classify.',
      on: {
        'classification.committed': { target: 'live', actions: 'requeueWork' },
        'journal.refused': 'refused',
      },
    },
    live: { type: 'final', description: 'Work that never started is back in its lane; commands are admitted.' },
    refused: { type: 'final', description: 'The journal can not be used; nothing was changed.' },
  },
});
