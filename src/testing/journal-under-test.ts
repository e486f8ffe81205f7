/** Journals on data of their own, and the few calls that every test of one makes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../actors/entry.ts';
import type { Journal, StoredEntry } from '../../actors/ports.ts';

/** A journal to be certified: how to make one. */
export interface JournalSuite {
  readonly name: string;
  readonly durable: boolean;
  /** A journal, not open yet, on the data of `dir`. The directory is missing at first. */
  create(dir: string): Journal;
  /** How to harm a journal that `create` made and that is open. Suites of journals that offer no way leave it out. */
  readonly faults?: JournalFaults;
}

export interface JournalFaults {
  /** From now on appends fail although they fit, until the answer is called. */
  failAppends(journal: Journal): () => void;
  /** Opening it again is refused until the answer is called. */
  refuseOpening(journal: Journal): () => void;
  /** What is under way gets an error, and may be stored. Settles when that is so. */
  die(journal: Journal): Promise<void>;
}

/** Runs a test on data of its own; every journal that it created is closed at the end. */
export function onFreshData(suite: JournalSuite, test: (create: () => Journal) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'troupe-journal-'));
    const created: Journal[] = [];
    try {
      await test(() => {
        const journal = suite.create(join(folder, 'data'));
        created.push(journal);
        return journal;
      });
    } finally {
      for (const journal of created) await journal.close();
      await rm(folder, { recursive: true, force: true });
    }
  };
}

/** Settles as the batch does. */
export function commit(journal: Journal, entries: readonly Entry[]): Promise<void> {
  return new Promise((resolve, reject) => {
    journal.append(entries, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

export async function everything(journal: Journal, lane?: string): Promise<StoredEntry[]> {
  const found: StoredEntry[] = [];
  for (;;) {
    const after = found.at(-1)?.entry.offset ?? 0;
    const page = await journal.scan({ after, limit: 1_000, ...(lane !== undefined && { lane }) });
    if (page.length === 0) return found;
    found.push(...page);
  }
}

export async function entriesOf(journal: Journal, lane?: string): Promise<Entry[]> {
  return (await everything(journal, lane)).map(({ entry }) => entry);
}
