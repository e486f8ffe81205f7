import Database from 'better-sqlite3';
import type { Worker } from 'node:worker_threads';
import type { Journal } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { journalConformance } from '../../src/testing/conformance/journal.ts';
import type { JournalFaults } from '../../src/testing/journal-under-test.ts';
import { journalEqualsModel } from '../journal/random-batches.ts';

let newest: Worker | undefined;
process.on('worker', (worker) => {
  newest = worker;
});

/** What another program may do to the file of a running server. */
function alter(journal: Journal, sql: string): void {
  const database = new Database(journal.location, { fileMustExist: true });
  database.exec(sql);
  database.close();
}

const faults: JournalFaults = {
  failAppends(journal) {
    alter(journal, `CREATE TRIGGER planted BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'planted'); END`);
    return () => alter(journal, 'DROP TRIGGER planted');
  },
  refuseOpening(journal) {
    alter(journal, 'PRAGMA user_version = 99');
    return () => alter(journal, 'PRAGMA user_version = 1');
  },
  async die() {
    await newest?.terminate();
  },
};

const suite = {
  name: 'sqlite',
  durable: true,
  create: (dataDir: string) => createSqliteJournal({ dataDir }),
  faults,
};

journalConformance(suite);
journalEqualsModel(suite);
