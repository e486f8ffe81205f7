/**
 * A journal whose commits a test holds in its hand: appended batches wait until they are released one by one, or failed.
 * With it a test proves that nothing leaves the runtime before its commit. Everything else is the journal's inside.
 * State: volatile.
 */
import type { Entry } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';

export interface HeldJournal extends Journal {
  /** Batches that wait for `release` or `fail`, oldest first. */
  readonly held: readonly (readonly Entry[])[];
  /** From now on appended batches wait. */
  hold(): void;
  /** Lets the oldest `count` batches go to the journal inside, all of them unless told. It goes on holding. */
  release(count?: number): void;
  /** Lets everything go that waits, and whatever comes. */
  pass(): void;
  /** The oldest batch that waits fails, and all behind it with it, until the journal is opened again. */
  fail(error: Error): void;
}

interface Batch {
  readonly entries: readonly Entry[];
  readonly done: (error?: Error) => void;
}

/** Holds from the start. */
export function createHeldJournal(journal: Journal): HeldJournal {
  let holding = true;
  let waiting: Batch[] = [];
  /** Batches that are with the journal inside. Those that fail here have to wait for their answers: `done` is in order. */
  let inside = 0;
  let failure: Error | undefined;
  let failed: Batch[] = [];

  const answerFailed = (): void => {
    if (inside > 0 || failure === undefined) return;
    const batches = failed;
    failed = [];
    for (const batch of batches) batch.done(failure);
  };

  const commit = (batch: Batch): void => {
    inside += 1;
    journal.append(batch.entries, (error) => {
      inside -= 1;
      batch.done(error);
      answerFailed();
    });
  };

  const release = (count = waiting.length): void => {
    for (const batch of waiting.splice(0, count)) commit(batch);
  };

  const fail = (error: Error): void => {
    failure ??= error;
    failed.push(...waiting);
    waiting = [];
    answerFailed();
  };

  return {
    durability: journal.durability,
    location: journal.location,
    get held() {
      return waiting.map((batch) => batch.entries);
    },
    hold: () => {
      holding = true;
    },
    release,
    pass: () => {
      holding = false;
      release();
    },
    fail,
    open: async () => {
      if (failure !== undefined) await journal.close();
      failure = undefined;
      return journal.open();
    },
    append: (entries, done) => {
      if (failure !== undefined) {
        failed.push({ entries, done });
        queueMicrotask(answerFailed);
      } else if (holding) waiting.push({ entries, done });
      else commit({ entries, done });
    },
    scan: (range) => journal.scan(range),
    head: (lane) => journal.head(lane),
    read: (offset) => journal.read(offset),
    verify: (last) => journal.verify(last),
    close: async () => {
      release();
      await journal.close();
    },
  };
}
