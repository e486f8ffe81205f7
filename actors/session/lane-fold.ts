/**
 * A session as its journal lane tells it at any place, without a server: for those who look back, and who check what was kept.
 *
 * Entries are given in order; whoever reads them decides where to stop. State: rebuildable.
 */
import type { CommandAccepted, Entry, EntryReader } from '../entry.ts';
import { SERVER_LANE, sessionLane } from '../entry.ts';
import { Host } from '../host.ts';
import type { Json } from '../json.ts';
import type { ChartView, NotThere, PictureQuestion, SessionPicture } from '../message.ts';
import type { Clock } from '../ports.ts';
import { sessionMachine } from '../../machines/session.ts';
import { Evolution } from './evolution.ts';
import { beginningOf, openingOf } from './fold.ts';
import type { SessionFold } from './session-fold.ts';
import type { SessionState } from './session-state.ts';

/** Nothing in a durable chart waits: its deadlines are data. */
const NO_CLOCK: Clock = {
  now: () => 0,
  setTimeout() {
    throw new Error('A chart that is folded waits for time; a durable one does not.');
  },
  clearTimeout: () => undefined,
  defer(callback) {
    callback();
  },
};

export class LaneFold {
  readonly #host = new Host(NO_CLOCK);
  readonly #id: string;
  readonly #mailboxDepthMax: number;
  #evolution: Evolution | undefined;

  constructor(sessionId: string, mailboxDepthMax: number) {
    this.#id = sessionId;
    this.#mailboxDepthMax = mailboxDepthMax;
  }

  /** Of the incarnation that the newest entry belongs to, also of one that is closed; undefined before the first one. */
  get state(): SessionState | undefined {
    return this.#evolution?.state;
  }

  /** All of it, for who goes on from here; undefined while there is no session. */
  get whole(): SessionFold | undefined {
    return this.#evolution?.whole;
  }

  /** The chart as XState persists it. */
  get snapshot(): unknown {
    return this.#evolution?.snapshot;
  }

  /**
   * The next entry of the lane. `waiting`: work that was accepted before the session was there and waits in its lane from now
   * on; with the entry that opens the session.
   */
  take(entry: Entry, waiting: readonly CommandAccepted[] = []): void {
    const opened = this.#evolution?.laneSeq === entry.laneSeq - 1 ? openingOf(entry) : beginningOf(entry);
    if (opened !== undefined) {
      this.#evolution?.stop();
      this.#evolution = new Evolution(this.#host, this.#id, opened.engine, this.#mailboxDepthMax);
    }
    // What was asked of a session that was gone.
    if (this.#evolution === undefined || (opened === undefined && this.state?.closed != null)) return;
    this.#evolution.fold(entry);
    for (const { offset, commandId, deadlineAt } of waiting) this.#evolution.enterLane(offset, commandId, deadlineAt);
  }

  /** No copy: it is what it shows until the next entry. */
  picture(): SessionPicture | undefined {
    const { state, snapshot } = this;
    return state === undefined ? undefined : viewOf(state, snapshot);
  }
}

/** A copy: what happens afterwards does not change it. */
export function pictureOf(state: SessionState, snapshot: unknown): SessionPicture {
  return structuredClone(viewOf(state, snapshot));
}

function viewOf(state: SessionState, snapshot: unknown): SessionPicture {
  const chart = chartView(snapshot);
  const { id: _id, ...data } = state;
  return {
    seq: state.seq,
    epoch: state.epoch,
    value: chart.value,
    context: { ...chart.context, ...(data as unknown as { [key: string]: Json }) },
    children: chart.children,
    machineId: sessionMachine.id,
    machineVersion: sessionMachine.version ?? '',
  };
}

interface PersistedChart {
  readonly value: Json;
  readonly context: { readonly [key: string]: Json };
  readonly children?: { readonly [name: string]: { readonly snapshot: PersistedChart } };
}

function chartView(snapshot: unknown): ChartView {
  const { value, context, children = {} } = snapshot as PersistedChart;
  const below = Object.entries(children).map(([name, child]) => [name, chartView(child.snapshot)] as const);
  return { value, context, children: Object.fromEntries(below) };
}

/** Entries of one slice: what folding them costs is what others wait for at most. */
const PAGE_ENTRIES = 512;

/**
 * Folds a session's journal lane up to and including the entry of event `seq`; without it, to the end of the lane. One page at
 * a time, so that others get their turn.
 *
 * @param watch is told of each entry that is folded, and when what was folded before was another incarnation.
 */
export async function pictureAt(
  journal: EntryReader,
  sessionId: string,
  { epoch, seq, mailboxDepthMax }: PictureQuestion,
  watch?: { folded(entry: Entry): void; begun(): void },
): Promise<SessionPicture | NotThere> {
  const lane = sessionLane(sessionId);
  const fold = new LaneFold(sessionId, mailboxDepthMax);
  let found: SessionPicture | undefined;
  let seen = false;
  let before = 0;
  /** It is the incarnation that was asked for, or any if none was. */
  let wanted = false;
  for (let after = 0; ;) {
    const page = await journal.scan({ after, limit: PAGE_ENTRIES, lane, toFold: true });
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.entry.offset;
    for (const { entry } of page) {
      // What is in front of it was dropped, perhaps just now.
      const dropped = entry.kind === 'lane.compacted' && before !== entry.laneSeq - 1 ? entry.content.state : undefined;
      before = entry.laneSeq;
      if (dropped !== undefined && seq !== undefined && seq < dropped.seq && isOf(dropped, epoch))
        return { missing: 'dropped', firstSeq: dropped.seq };
      const opened = dropped ?? openingOf(entry);
      if (opened !== undefined) {
        // It ends where the next one begins.
        if (wanted && epoch !== undefined) return pictureOrNone(fold, found, seq);
        seen = true;
        wanted = epoch === undefined || opened.epoch === epoch || (dropped !== undefined && isOf(dropped, epoch));
        found = undefined;
        watch?.begun();
      }
      // A restore gives another epoch to what was there.
      if (entry.kind === 'session.restored' && entry.epoch === epoch) wanted = true;
      // What was found is not folded any further.
      if (seen && found === undefined) {
        fold.take(entry, opened === undefined ? [] : await waitingFor(journal, entry, sessionId));
        watch?.folded(entry);
        if (seq !== undefined && (fold.state?.seq ?? -1) >= seq) found = fold.picture();
      }
      if (wanted && epoch !== undefined && found !== undefined) return found;
    }
  }
  if (!seen) return { missing: 'session' };
  return wanted ? pictureOrNone(fold, found, seq) : { missing: 'epoch' };
}

function isOf({ epoch, incarnation }: SessionState, asked: string | undefined): boolean {
  return asked === undefined || asked === epoch || asked === incarnation;
}

function pictureOrNone(
  fold: LaneFold,
  found: SessionPicture | undefined,
  seq: number | undefined,
): SessionPicture | NotThere {
  if (found !== undefined) return found;
  const picture = fold.picture();
  if (picture === undefined) return { missing: 'session' };
  return seq === undefined ? picture : { missing: 'seq', headSeq: picture.seq };
}

/**
 * Work that had been accepted for a session before it was there. Behind a creation that had to wait, and only then: it is the
 * first work of its mailbox.
 */
export async function waitingFor(
  journal: Pick<EntryReader, 'scan'>,
  opening: Entry,
  sessionId: string,
): Promise<CommandAccepted[]> {
  if (opening.kind !== 'command.finished') return [];
  const waiting = new Map<number, CommandAccepted>();
  for (let after = opening.acceptedOffset; after < opening.offset;) {
    const page = await journal.scan({ after, limit: PAGE_ENTRIES, lane: SERVER_LANE });
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.entry.offset;
    for (const { entry } of page) {
      if (entry.offset > opening.offset) break;
      if (entry.kind === 'command.finished') waiting.delete(entry.acceptedOffset);
      if (entry.kind === 'command.accepted' && entry.sessionId === sessionId && entry.mailbox === 'work')
        waiting.set(entry.offset, entry);
    }
  }
  return [...waiting.values()];
}
