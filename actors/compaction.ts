/**
 * Compaction: what a journal lane comes to is recorded in it, and the entries in front of that are dropped once all of them are old
 * enough. Sessions go on beside it; one that is busy just then has its turn the next time.
 *
 * A crash between the two steps leaves entries that folding does not need, and the next run drops them. The server's own lane is
 * not compacted. State: none.
 */
import type { Core } from './core.ts';
import { sessionIn } from './entry.ts';
import type { Entry } from './entry.ts';
import { compactLane } from './lane-compaction.ts';
import type { Journal } from './ports.ts';
import { openingOf } from './session/fold.ts';

const PAGE_ENTRIES = 256;
const PAGE_LANES = 64;
/** In front of a lane's end it must be worth the entry that stands for them. */
const WORTH_ENTRIES = 2;
/** That remain of a dropped command: its acceptance and its outcome. */
const ROWS_PER_COMMAND = 2;

export interface CompactionReport {
  /** Lanes of which something was dropped. */
  readonly lanes: number;
  readonly entries: number;
}

export interface CompactionRange {
  /** Entries that are not newer are dropped. */
  readonly before: number;
  /** A place to begin with is made as soon as what is behind the last one is not newer, so that it can be dropped in its time. */
  readonly placedBefore?: number;
}

/** A lane, as far as compaction looks. */
interface LaneView {
  readonly first: Entry;
  readonly last: Entry;
  /** Since folding may begin, and the time of the first of them. */
  readonly entriesSince: number;
  readonly since: number;
  /** The newest place where folding may begin and whose entries in front are all old enough. */
  readonly base: number | undefined;
  /** Acceptances in other lanes that have their outcome here. */
  readonly ended: readonly number[];
  readonly expired: boolean;
}

/** Drops what folding does not need. @throws what the journal can't be asked for. */
export async function compactJournal(
  journal: Journal,
  core: () => Core,
  range: CompactionRange,
): Promise<CompactionReport> {
  let lanes = 0;
  let entries = 0;
  let newest = 0;
  try {
    for (let after = ''; ;) {
      const names = await journal.lanes(after, PAGE_LANES);
      const last = names.at(-1);
      if (last === undefined) break;
      after = last;
      for (const [lane, base] of await basesOf(journal, core, names, range)) {
        newest = Math.max(newest, base);
        const dropped = await journal.drop(lane, base);
        entries += dropped;
        if (dropped > 0) lanes += 1;
      }
    }
  } finally {
    // What was told live is told from the journal now, which keeps less.
    if (newest > 0) core().runtime.deduplication.forgetOutcomesUpTo(newest);
  }
  await journal.trimRemains(core().runtime.limits.idempotencyEntriesMax * ROWS_PER_COMMAND);
  return { lanes, entries };
}

/** Where folding may begin, by lane; durable. */
async function basesOf(
  journal: Journal,
  core: () => Core,
  names: readonly string[],
  { before, placedBefore = -Infinity }: CompactionRange,
): Promise<ReadonlyMap<string, number>> {
  const bases = new Map<string, number>();
  const { router, runtime } = core();
  for (const lane of names) {
    const sessionId = sessionIn(lane);
    if (sessionId === undefined) continue;
    const view = await viewOf(journal, lane, before, Math.max(before, placedBefore));
    if (view === undefined) continue;
    const { base, ended, entriesSince, expired, first, last, since } = view;
    if (base !== undefined) bases.set(lane, base);
    const isOld = last.at <= before;
    // Of one that is over nothing has to be kept but where its lane ended.
    const worth = router.directory.has(sessionId) ? WORTH_ENTRIES : 1;
    if (entriesSince < (isOld || since <= placedBefore ? worth : runtime.limits.snapshotEvery)) continue;
    if (router.phase !== 'open' || core().router !== router) continue;
    const recorded = await compactLane(router.directory, runtime, sessionId, { laneSeq: last.laneSeq, ended, expired });
    if (recorded !== undefined && isOld && first.offset < recorded) bases.set(lane, recorded);
  }
  const { releases, writer } = runtime;
  // Either is enough; only the second one hears that the journal failed.
  await Promise.race([releases.passed(writer.newestBatch), writer.settled()]);
  return bases;
}

/** `undefined`: it has nothing that is of `youngest` or older. */
async function viewOf(journal: Journal, lane: string, before: number, youngest: number): Promise<LaneView | undefined> {
  const open = new Set<number>();
  const ended = new Set<number>();
  let first: Entry | undefined;
  let last: Entry | undefined;
  let base: number | undefined;
  let entriesSince = 0;
  let since = 0;
  let expired = false;
  for (let after = 0; ;) {
    const page = await journal.scan({ lane, after, limit: PAGE_ENTRIES, toFold: true });
    if (after === 0 && (page[0]?.entry.at ?? 0) > youngest) return undefined;
    for (const { entry } of page) {
      entriesSince += 1;
      if (entriesSince === 1) since = entry.at;
      if (entry.kind === 'command.accepted') open.add(entry.offset);
      else if (entry.kind === 'command.finished' && !open.delete(entry.acceptedOffset)) ended.add(entry.acceptedOffset);
      else if (entry.kind === 'lane.compacted') {
        for (const offset of entry.ended) ended.add(offset);
        expired = entry.expired === true;
        if (last !== undefined && last.at <= before) base = entry.offset;
        entriesSince = 0;
      }
      if (entry.kind === 'session.expired') expired = true;
      else if (openingOf(entry) !== undefined) expired = false;
      first ??= entry;
      last = entry;
    }
    const end = page.at(-1);
    if (end === undefined) break;
    after = end.entry.offset;
  }
  if (first === undefined || last === undefined) return undefined;
  return { first, last, entriesSince, since, base, ended: [...ended], expired };
}
