/** What a process that died left behind: copies of a memory journal's data, whole or cut at a commit. */
import type { Entry } from '../../actors/entry.ts';
import type { DerivedStore, Journal, LaneStore, StoredEntry } from '../../actors/ports.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';

/**
 * The first `length` entries of a store, as a store that nobody has open; `derived`: with the snapshots and checkpoints that were
 * there when the last of them was new.
 */
export function copyStore(store: MemoryStore, length = store.rows.length, derived = false): MemoryStore {
  const copy = createMemoryStore();
  if (derived) {
    for (const [lane, snapshot] of store.snapshots) if (snapshot.offset <= length) copy.snapshots.set(lane, snapshot);
    copy.checkpoints = store.checkpoints.filter(({ offset }) => offset <= length);
    for (const [key, bytes] of store.parts) copy.parts.set(key, bytes);
  }
  for (const row of store.rows.slice(0, length)) {
    copy.rows.push(row);
    if (row === undefined) continue;
    copy.heads.set(row.record.lane, row);
  }
  for (const [lane, anchor] of store.anchors) if (anchor.offset <= length) copy.anchors.set(lane, anchor);
  for (const [offset, remain] of store.remains) if (offset <= length) copy.remains.set(offset, remain);
  return copy;
}

async function storedEntries(store: MemoryStore): Promise<StoredEntry[]> {
  const journal = createMemoryJournal({ store: copyStore(store) });
  await journal.open();
  return journal.scan({ after: 0, limit: store.rows.length });
}

export async function entriesOf(store: MemoryStore): Promise<Entry[]> {
  return (await storedEntries(store)).map(({ entry }) => entry);
}

/** A journal that notes how many entries were stored after each commit: the places where a crash can cut it. */
export function createWatchedJournal(store: MemoryStore): Journal & { readonly commits: readonly number[] } {
  const journal = createMemoryJournal({ store });
  const commits: number[] = [];
  return {
    commits,
    durability: journal.durability,
    location: journal.location,
    open: () => journal.open(),
    append: (entries, done) =>
      journal.append(entries, (error) => {
        commits.push(store.rows.length);
        done(error);
      }),
    scan: (range) => journal.scan(range),
    head: (lane) => journal.head(lane),
    read: (offset) => journal.read(offset),
    blank: (range) => journal.blank(range),
    backup: (at) => journal.backup(at),
    verify: (last) => journal.verify(last),
    ...derivedOf(journal),
    close: () => journal.close(),
  };
}

/** What is derived from the entries, and what is about lanes as a whole, as `journal` keeps it: for journals of tests that stand in front of another one. */
export function derivedOf(journal: Journal): DerivedStore & LaneStore {
  return {
    lanes: (after, limit) => journal.lanes(after, limit),
    drop: (lane, before) => journal.drop(lane, before),
    anchors: () => journal.anchors(),
    remains: (after, limit) => journal.remains(after, limit),
    trimRemains: (max) => journal.trimRemains(max),
    size: () => journal.size(),
    keepSnapshot: (snapshot, failed) => journal.keepSnapshot(snapshot, failed),
    snapshot: (lane) => journal.snapshot(lane),
    keepPart: (offset, part, bytes) => journal.keepPart(offset, part, bytes),
    sealCheckpoint: (head) => journal.sealCheckpoint(head),
    checkpoints: () => journal.checkpoints(),
    checkpointPart: (offset, part) => journal.checkpointPart(offset, part),
  };
}
