/**
 * Folds a journal lane into the session that somebody holds, entry by entry.
 *
 * An entry that can't be folded sets the session aside, and no other: what follows in its lane is passed over until the entry
 * that ends it. State: rebuildable.
 */
import type { Entry } from '../entry.ts';
import { JournalRefused } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionFact, SessionOpened } from './event.ts';
import type { Intent } from '../host.ts';
import type { Quarantine } from './head.ts';
import { Session } from './session.ts';

/** What an entry did to the mailbox: there is a session now, there is none any more, or neither. */
export type Folded = 'opened' | 'closed' | undefined;

/** Who holds the session that is folded. */
export interface FoldTarget {
  readonly id: string;
  readonly session: Session | undefined;
  readonly quarantine: Quarantine | undefined;
  readonly perform: (intent: Intent, session: Session) => void;
  /** From now on there is this session, or one that is set aside, or none. */
  take(folded: { readonly session: Session | undefined; readonly quarantine: Quarantine | undefined }): void;
}

const NONE = { session: undefined, quarantine: undefined };

export function foldEntry(runtime: Runtime, target: FoldTarget, entry: Entry): Folded {
  const before = target.session;
  if (entry.kind === 'lane.compacted' && before !== undefined && before.laneSeq !== entry.laneSeq - 1) {
    // What is in front of it was dropped while it was read.
    before.stop();
    target.take(NONE);
    return foldEntry(runtime, target, entry) ?? 'closed';
  }
  const opened = before === undefined && target.quarantine === undefined ? beginningOf(entry) : openingOf(entry);
  if (opened === undefined && before === undefined) {
    if (target.quarantine === undefined || !closes(entry)) return undefined;
    if (entry.kind === 'session.expired') runtime.expired.add(target.id);
    target.take(NONE);
    return 'closed';
  }
  try {
    const session = opened === undefined ? before! : new Session(runtime, target.id, opened.engine, target.perform);
    if (opened !== undefined) target.take({ session, quarantine: undefined });
    session.fold(entry);
    if (session.state?.closed == null) return opened === undefined ? undefined : 'opened';
    session.stop();
    target.take(NONE);
    return 'closed';
  } catch (error) {
    // Not the session is in doubt, but what the journal shows of it.
    if (error instanceof JournalRefused) throw error;
    setAside(target, entry.offset, error);
    return undefined;
  }
}

/** Everything is folded that there is: the session goes on from here, or is set aside. */
export function wakeFolded(target: FoldTarget): void {
  const { session } = target;
  try {
    session?.wake();
  } catch (error) {
    setAside(target, session!.offset, error);
  }
}

function setAside(target: FoldTarget, offset: number, error: unknown): void {
  target.session?.stop();
  const text = error instanceof Error ? error.message : String(error);
  target.take({ session: undefined, quarantine: { offset, error: text } });
}

/** It ends a session. */
export function closes(entry: Entry): boolean {
  if (entry.kind === 'session.expired' || entry.kind === 'session.purged') return true;
  return factsOf(entry).some(({ type }) => type === 'session.closed');
}

/** A session may begin with it. */
export function opens(entry: Entry): boolean {
  return beginningOf(entry) !== undefined;
}

/** The session that folding begins with here, when what is in front was not folded. */
export function beginningOf(entry: Entry): Pick<SessionOpened, 'engine' | 'epoch'> | undefined {
  return entry.kind === 'lane.compacted' ? entry.content.state : openingOf(entry);
}

/** The session that it makes. */
export function openingOf(entry: Entry): SessionOpened | undefined {
  return factsOf(entry).find((fact) => fact.type === 'session.opened');
}

function factsOf(entry: Entry): readonly SessionFact[] {
  if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') return [];
  return entry.content.facts ?? [];
}
