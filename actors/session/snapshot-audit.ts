/**
 * Holds a snapshot against its lane, folded from where it begins: what a snapshot says must be what folding gives. A digest shows
 * that a row is as it was written; that what was written was right, only this does. State: none.
 */
import type { EntryReader } from '../entry.ts';
import { sessionIn } from '../entry.ts';
import type { Json } from '../json.ts';
import type { LaneSnapshot } from '../ports.ts';
import { LaneFold, waitingFor } from './lane-fold.ts';
import { openingOf } from './fold.ts';
import type { SessionFold } from './session-fold.ts';
import { foldOf } from './snapshot.ts';

const PAGE_ENTRIES = 512;

export type SnapshotFinding =
  | { readonly found: 'right' }
  /** A start passes it over as well: of another version, or its place in the lane is no more. */
  | { readonly found: 'passed over'; readonly reason: string }
  | { readonly found: 'wrong'; readonly problem: string };

/** @throws what the journal can't be read for. */
export async function auditSnapshot(
  journal: Pick<EntryReader, 'scan'>,
  snapshot: LaneSnapshot,
  mailboxDepthMax: number,
): Promise<SnapshotFinding> {
  // With the limits of whoever made it.
  const depth = depthIn(snapshot.body) ?? mailboxDepthMax;
  const kept = foldOf(snapshot, { mailboxDepthMax: depth });
  if (typeof kept === 'string') return { found: 'passed over', reason: kept };
  const folded = await foldedTo(journal, snapshot, depth);
  if (folded === undefined) return { found: 'passed over', reason: 'there is no session at its entry' };
  for (const part of ['laneSeq', 'state', 'chart', 'queued'] as const) {
    const place = difference(plain(kept[part]), plain(folded[part]), part);
    if (place !== undefined) return { found: 'wrong', problem: `its snapshot is not what folding gives, in ${place}` };
  }
  return { found: 'right' };
}

async function foldedTo(
  journal: Pick<EntryReader, 'scan'>,
  { lane, offset }: LaneSnapshot,
  mailboxDepthMax: number,
): Promise<SessionFold | undefined> {
  const id = sessionIn(lane);
  if (id === undefined) return undefined;
  const fold = new LaneFold(id, mailboxDepthMax);
  for (let after = 0; after < offset;) {
    const page = await journal.scan({ after, limit: PAGE_ENTRIES, lane });
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.entry.offset;
    for (const { entry } of page) {
      if (entry.offset > offset) break;
      fold.take(entry, openingOf(entry) === undefined ? [] : await waitingFor(journal, entry, id));
    }
  }
  const { whole } = fold;
  return whole?.offset === offset ? whole : undefined;
}

function depthIn(body: string): number | undefined {
  try {
    const { mailboxDepthMax } = JSON.parse(body) as { mailboxDepthMax?: unknown };
    return typeof mailboxDepthMax === 'number' ? mailboxDepthMax : undefined;
  } catch {
    return undefined;
  }
}

/** As it would be written down. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/** Where the two differ first. */
function difference(one: Json | undefined, other: Json | undefined, path: string): string | undefined {
  if (one === other) return undefined;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return path;
  if (Array.isArray(one) !== Array.isArray(other)) return path;
  const [left, right] = [one, other] as { readonly [name: string]: Json }[];
  for (const name of new Set([...Object.keys(left!), ...Object.keys(right!)])) {
    const found = difference(left![name], right![name], `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
