import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { journalConformance } from '../../src/testing/conformance/journal.ts';
import { journalEqualsModel } from '../journal/random-batches.ts';

const stores = new Map<string, ReturnType<typeof createMemoryStore>>();

function create(dir: string) {
  const store = stores.get(dir) ?? createMemoryStore();
  stores.set(dir, store);
  return createMemoryJournal({ store });
}

const suite = { name: 'memory', durable: false, create };

journalConformance(suite);
journalEqualsModel(suite);
