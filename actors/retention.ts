/**
 * Retention: what is older than it may be goes, and the oldest of what is more than there may be. Of commands, names and outcomes
 * outlive what was said; a session that exists stays what it is, however old.
 *
 * Entries of sessions go by compaction. The server's own lane is not dropped, so what people said in it is removed in place. It may
 * be cut off at any point: the next run goes on. State: none.
 */
import { compactJournal } from './compaction.ts';
import type { Core } from './core.ts';
import { SERVER_LANE } from './entry.ts';
import type { Journal } from './ports.ts';

export interface RetentionLimits {
  /** `null`: however old. */
  readonly maxAgeMs: number | null;
  /** `null`: however much. */
  readonly maxBytes: number | null;
  /** Nothing younger goes, whatever the other two say. */
  readonly keptMs: number;
}

/** What went now, and what there is. */
export interface RetentionReport {
  readonly lanes: number;
  readonly entries: number;
  /** Entries that lost what was said. */
  readonly blanked: number;
  /** Dropped commands of which nothing is known any more. */
  readonly forgotten: number;
  readonly bytes: number;
}

const PAGE_ENTRIES = 1_000;
/** The time from the oldest entry to the youngest that may go is gone through in so many steps. */
const STEPS = 8;
/** What is old goes so late at most: this part of the age that it may have. */
const PARTS = 4;
const PLACE_EVERY_MS_MIN = 1_000;

/** Of a session that is used all the time, entries go in parts: each needs a place to begin with behind it. */
export function placeEveryMs(maxAgeMs: number): number {
  return Math.max(PLACE_EVERY_MS_MIN, Math.floor(maxAgeMs / PARTS));
}

/** @throws what the journal can't be asked for, and when it is larger than it may be and nothing more may go. */
export async function applyRetention(
  journal: Journal,
  core: () => Core,
  limits: RetentionLimits,
  now: number,
): Promise<RetentionReport> {
  const { maxAgeMs, maxBytes, keptMs } = limits;
  const total = { lanes: 0, entries: 0, blanked: 0, forgotten: 0 };
  const drop = async (before: number, placedBefore = before): Promise<void> => {
    const { lanes, entries } = await compactJournal(journal, core, { before, placedBefore });
    total.lanes += lanes;
    total.entries += entries;
    total.blanked += await blankServerLane(journal, core, before);
  };
  const age = Math.max(maxAgeMs ?? Infinity, keptMs);
  if (maxAgeMs !== null) await drop(now - age, now - placeEveryMs(age));
  let size = await journal.size();
  if (maxBytes === null || size.bytes <= maxBytes) return report();
  const oldest = await oldestOf(journal, now);
  const youngest = now - keptMs;
  const steps = oldest > youngest ? 0 : STEPS;
  for (let step = 1; step <= steps && size.bytes > maxBytes; step += 1) {
    await drop(oldest + Math.ceil(((youngest - oldest) * step) / STEPS));
    size = await journal.size();
  }
  while (size.bytes > maxBytes && size.remains > 0) {
    total.forgotten += await journal.trimRemains(Math.floor(size.remains / 2));
    size = await journal.size();
  }
  if (size.bytes <= maxBytes) return report();
  throw new Error(
    `The journal takes ${size.bytes} bytes, and journal.retention.maxBytes is ${maxBytes}: what is left is younger than ` +
      'idempotency.ttlMs, of sessions that exist, or of the server itself',
  );

  function report(): RetentionReport {
    return { ...total, bytes: size.bytes };
  }
}

/** When the oldest entry of a session was recorded. */
async function oldestOf(journal: Journal, now: number): Promise<number> {
  for (let after = 0; ;) {
    const page = await journal.scan({ after, limit: PAGE_ENTRIES });
    const found = page.find(({ entry }) => entry.lane !== SERVER_LANE);
    if (found !== undefined) return found.entry.at;
    const last = page.at(-1);
    if (last === undefined) return now;
    after = last.entry.offset;
  }
}

/** A command that has no outcome yet may have to be run, and keeps all behind it. */
async function blankServerLane(journal: Journal, core: () => Core, before: number): Promise<number> {
  const { checkpointer, runtime } = core();
  let through = 0;
  for (let after = 0, isOver = false; !isOver;) {
    const page = await journal.scan({ lane: SERVER_LANE, after, limit: PAGE_ENTRIES });
    const old = page.findIndex(({ entry }) => entry.at > before || runtime.writer.open.has(entry.offset));
    const last = page.at(old < 0 ? -1 : old - 1);
    isOver = old >= 0 || page.length === 0;
    if (last === undefined || old === 0) break;
    through = after = last.entry.offset;
  }
  // Also for nothing: what was dropped goes from the log with it.
  const { entries } = await journal.blank({ through, lane: SERVER_LANE });
  // Checkpoints go with what is removed.
  if (entries > 0) checkpointer.dropped();
  return entries;
}
