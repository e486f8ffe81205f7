/**
 * The journal as the runtime sees it: can it be written? Kind of state: durable, as far as it is what the journal holds; whether
 * it can be written is found out anew.
 */
import { setup } from 'xstate';
import { MICROSTEPS_MAX } from './effect.ts';

export type JournalEvent = { type: 'journal.opened' } | { type: 'journal.failed' } | { type: 'journal.closed' };

export const journalMachine = setup({
  types: { events: {} as JournalEvent },
}).createMachine({
  id: 'journal',
  version: '1',
  description: 'Whether the journal can be written.',
  options: { maxIterations: MICROSTEPS_MAX },
  initial: 'opening',
  states: {
    opening: {
      description: 'It is being locked, checked and read.',
      on: { 'journal.opened': 'writable', 'journal.failed': 'unavailable', 'journal.closed': 'closed' },
    },
    writable: {
      description: 'Facts are appended; what shows them waits until they are durable.',
      tags: 'writable',
      on: { 'journal.failed': 'unavailable', 'journal.closed': 'closed' },
    },
    unavailable: {
      description:
        'An append failed: nothing is accepted, and what can be read is shown as stale, until it opens again.',
      on: { 'journal.opened': 'writable', 'journal.closed': 'closed' },
    },
    closed: { type: 'final', description: 'Closed in order.' },
  },
});
