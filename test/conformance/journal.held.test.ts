import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { journalConformance } from '../../src/testing/conformance/journal.ts';
import { createHeldJournal } from '../../src/testing/held-journal.ts';
import { journalEqualsModel } from '../journal/random-batches.ts';

const stores = new Map<string, ReturnType<typeof createMemoryStore>>();

/** While it holds nothing back, it is a journal like any other. */
function create(dir: string) {
  const store = stores.get(dir) ?? createMemoryStore();
  stores.set(dir, store);
  const journal = createHeldJournal(createMemoryJournal({ store }));
  journal.pass();
  return journal;
}

const suite = { name: 'held', durable: false, create };

journalConformance(suite);
journalEqualsModel(suite);
