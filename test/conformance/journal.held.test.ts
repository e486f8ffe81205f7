import type { Journal } from '../../actors/ports.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { journalConformance } from '../../src/testing/conformance/journal.ts';
import { createHeldJournal } from '../../src/testing/held-journal.ts';
import type { HeldJournal } from '../../src/testing/held-journal.ts';
import type { JournalFaults } from '../../src/testing/journal-under-test.ts';
import { journalEqualsModel } from '../journal/random-batches.ts';

const stores = new Map<string, ReturnType<typeof createMemoryStore>>();

/** While it holds nothing back, it is a journal like any other. */
function create(dir: string): Journal {
  const store = stores.get(dir) ?? createMemoryStore();
  stores.set(dir, store);
  const journal = createHeldJournal(createMemoryJournal({ store }));
  journal.pass();
  return journal;
}

const faults: JournalFaults = {
  failAppends(journal) {
    (journal as HeldJournal).keepFailing(new Error('planted'));
    return () => (journal as HeldJournal).mend();
  },
  refuseOpening(journal) {
    (journal as HeldJournal).refuseToOpen(new JournalRefused('memory is full: make room'));
    return () => (journal as HeldJournal).mend();
  },
  async die(journal) {
    (journal as HeldJournal).die(new Error('planted'));
  },
};

const suite = { name: 'held', durable: false, create, faults };

journalConformance(suite);
journalEqualsModel(suite);
