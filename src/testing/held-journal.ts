/**
 * A journal whose commits and failures a test holds in its hand. With it a test proves that nothing leaves the runtime before
 * its commit, and what becomes of it when the disk is slow, full or gone. Everything else is the journal's inside, which
 * never fails by itself here unless a batch does not fit. State: volatile.
 */
import type { Entry } from '../../actors/entry.ts';
import type { Journal, JournalHead } from '../../actors/ports.ts';

/** A journal, and the hand of a test on its commits. */
export interface HeldJournal extends Journal {
  /** Batches that wait for `release` or `fail`, oldest first. */
  readonly held: readonly (readonly Entry[])[];
  /** From now on appended batches wait. */
  hold(): void;
  /** Lets the oldest `count` batches go to the journal inside, all of them unless told. It goes on holding. */
  release(count?: number): void;
  /** Lets everything go that waits, and whatever comes. */
  pass(): void;
  /** A slow disk: each batch from now on goes to the journal inside when `defer`, which each asks once, calls back. */
  delay(defer: (commit: () => void) => void): void;
  /** The oldest batch that waits fails, and all behind it with it, until the journal is opened again. */
  fail(error: Error): void;
  /** The next batch that is appended fails when its turn comes, and all behind it with it, until the journal is opened again. */
  failNext(error: Error): void;
  /** Each batch that is appended from now on fails like that, also when the journal was opened again, until `mend`. */
  keepFailing(error: Error): void;
  /** Opening again is refused with `error` until `mend`. */
  refuseToOpen(error: Error): void;
  /** What was kept failing or refused is so no more. A journal that failed still has to be opened again. */
  mend(): void;
  /**
   * The journal's thread dies: all that is under way fails with `error`, although the oldest `committed` of what waits, all of
   * it unless told, is stored. Appends fail and reads reject with it until the journal is opened again.
   */
  die(error: Error, committed?: number): void;
}

interface Batch {
  readonly entries: readonly Entry[];
  readonly done: (error?: Error) => void;
  /** Why it fails when its turn comes. */
  readonly planted?: Error | undefined;
}

/** Holds from the start. */
export function createHeldJournal(journal: Journal): HeldJournal {
  let mode: 'hold' | 'pass' | 'delay' = 'hold';
  let later: (commit: () => void) => void = queueMicrotask;
  let waiting: Batch[] = [];
  /** Batches that are with the journal inside. Those that fail here have to wait for their answers: `done` is in order. */
  let inside = 0;
  /** Offset of the newest entry inside. */
  let offset = 0;
  let insideFailed = false;
  let failure: Error | undefined;
  let failed: Batch[] = [];
  let death: Error | undefined;
  let next: Error | undefined;
  let lasting: Error | undefined;
  let refusal: Error | undefined;
  let gone: ((error: Error) => void) | undefined;

  const answerFailed = (): void => {
    if (inside > 0 || failure === undefined) return;
    const batches = failed;
    failed = [];
    for (const batch of batches) batch.done(failure);
  };

  /** A batch that fails is answered later: its append may not have returned yet. */
  const commit = (batch: Batch): void => {
    failure ??= batch.planted;
    if (failure !== undefined) {
      failed.push(batch, ...waiting.splice(0));
      queueMicrotask(answerFailed);
      return;
    }
    inside += 1;
    journal.append(batch.entries, (error) => {
      inside -= 1;
      if (error === undefined) offset = batch.entries.at(-1)?.offset ?? offset;
      else {
        insideFailed = true;
        failure ??= error;
      }
      batch.done(death ?? error);
      answerFailed();
    });
  };

  const release = (count = waiting.length): void => {
    for (let left = count; left > 0; left -= 1) {
      const batch = waiting.shift();
      if (batch === undefined) return;
      commit(batch);
    }
  };

  const fail = (error: Error): void => {
    failure ??= error;
    failed.push(...waiting);
    waiting = [];
    answerFailed();
  };

  const idle = async (): Promise<void> => {
    for (;;) {
      if (inside === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  const openAgain = async (): Promise<JournalHead> => {
    await idle();
    if (refusal !== undefined) throw refusal;
    if (insideFailed) offset = (await journal.open()).offset;
    insideFailed = false;
    failure = undefined;
    death = undefined;
    return { offset };
  };

  const alive = async (): Promise<Journal> => {
    if (death !== undefined) throw death;
    return journal;
  };

  const writable = async (): Promise<Journal> => {
    if (failure !== undefined) throw failure;
    return alive();
  };

  return {
    durability: journal.durability,
    location: journal.location,
    get held() {
      return waiting.map((batch) => batch.entries);
    },
    hold: () => {
      mode = 'hold';
    },
    release,
    pass: () => {
      mode = 'pass';
      release();
    },
    delay: (defer) => {
      mode = 'delay';
      later = defer;
    },
    fail,
    failNext: (error) => {
      next = error;
    },
    keepFailing: (error) => {
      lasting = error;
    },
    refuseToOpen: (error) => {
      refusal = error;
    },
    mend: () => {
      lasting = undefined;
      refusal = undefined;
    },
    die: (error, committed = waiting.length) => {
      const isTold = waiting.length > 0 || inside > 0 || failure !== undefined;
      death = error;
      release(committed);
      fail(error);
      if (!isTold) gone?.(error);
    },
    watch: (told) => {
      gone = told;
    },
    open: async () => {
      if (failure !== undefined) return openAgain();
      const head = await journal.open();
      offset = head.offset;
      return head;
    },
    append: (entries, done) => {
      const batch = { entries, done, planted: next ?? lasting };
      next = undefined;
      if (mode === 'pass' || failure !== undefined) return commit(batch);
      waiting.push(batch);
      if (mode === 'delay') later(() => release(1));
    },
    scan: async (range) => (await alive()).scan(range),
    head: async (lane) => (await alive()).head(lane),
    read: async (at) => (await alive()).read(at),
    blank: async (range) => (await alive()).blank(range),
    backup: async (at) => (await alive()).backup(at),
    lanes: async (after, limit) => (await alive()).lanes(after, limit),
    drop: async (lane, before) => (await alive()).drop(lane, before),
    anchors: async () => (await alive()).anchors(),
    remains: async (after, limit) => (await alive()).remains(after, limit),
    trimRemains: async (max) => (await alive()).trimRemains(max),
    size: async () => (await alive()).size(),
    verify: async (last) => (await alive()).verify(last),
    keepSnapshot: (snapshot, failed) => {
      const error = death ?? failure;
      if (error === undefined) journal.keepSnapshot(snapshot, failed);
      else queueMicrotask(() => failed(error));
    },
    snapshot: async (lane) => (await alive()).snapshot(lane),
    keepPart: async (at, part, bytes) => (await writable()).keepPart(at, part, bytes),
    sealCheckpoint: async (head) => (await writable()).sealCheckpoint(head),
    checkpoints: async () => (await alive()).checkpoints(),
    checkpointPart: async (at, part) => (await alive()).checkpointPart(at, part),
    close: async () => {
      release();
      await journal.close();
      failure = undefined;
      death = undefined;
    },
  };
}
