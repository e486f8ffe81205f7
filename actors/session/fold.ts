/**
 * Folds a journal lane into the session that its mailbox holds, entry by entry.
 *
 * An entry that can't be folded sets the session aside, and no other: what follows in its lane is passed over until the entry
 * that ends it. State: rebuildable.
 */
import type { Entry } from '../entry.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionFact, SessionOpened } from './event.ts';
import type { Mailbox } from './mailbox.ts';
import { Session } from './session.ts';

/** What an entry did to the mailbox: there is a session now, there is none any more, or neither. */
export type Folded = 'opened' | 'closed' | undefined;

export function foldEntry(runtime: Runtime, mailbox: Mailbox, entry: Entry): Folded {
  const opened = openingOf(entry);
  const before = mailbox.session;
  if (opened === undefined && before === undefined) {
    if (mailbox.quarantine === undefined || !closes(entry)) return undefined;
    if (entry.kind === 'session.expired') runtime.expired.add(mailbox.id);
    mailbox.drop();
    return 'closed';
  }
  try {
    const session = opened === undefined ? before! : new Session(runtime, mailbox.id, opened.engine, mailbox.perform);
    if (opened !== undefined) mailbox.adopt(session);
    session.fold(entry);
    if (session.state?.closed == null) return opened === undefined ? undefined : 'opened';
    mailbox.drop();
    return 'closed';
  } catch (error) {
    mailbox.setAside({ offset: entry.offset, error: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

/** It ends a session. */
export function closes(entry: Entry): boolean {
  if (entry.kind === 'session.expired' || entry.kind === 'session.purged') return true;
  return factsOf(entry).some(({ type }) => type === 'session.closed');
}

/** It makes a session. */
export function opens(entry: Entry): boolean {
  return openingOf(entry) !== undefined;
}

/** The session that it makes. */
export function openingOf(entry: Entry): SessionOpened | undefined {
  return factsOf(entry).find((fact) => fact.type === 'session.opened');
}

function factsOf(entry: Entry): readonly SessionFact[] {
  if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') return [];
  return entry.content.facts ?? [];
}
