import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { journalConformance } from '../../src/testing/conformance/journal.ts';
import { journalEqualsModel } from '../journal/random-batches.ts';

const suite = { name: 'sqlite', durable: true, create: (dataDir: string) => createSqliteJournal({ dataDir }) };

journalConformance(suite);
journalEqualsModel(suite);
