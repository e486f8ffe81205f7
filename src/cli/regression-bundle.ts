/**
 * From the entries of a window to what can be run again, and what cannot, with the reason of each. Where a command cannot be run
 * again, its session would be another one from there on: what follows in it is left out as well. State: volatile.
 */
import { SERVER_LANE } from '../../actors/entry.ts';
import type { CommandAccepted, CommandSettled, Entry } from '../../actors/entry.ts';
import type { Redaction } from '../../actors/ports.ts';
import { openingOf } from '../../actors/session/fold.ts';
import type { RecordedCommand, ReplayBundle } from '../testing/recorded-window.ts';
import { labelOf, OPERATOR, ReplayLedger } from '../testing/replay-ledger.ts';
import type { Replayed, ReplayedOutcome } from '../testing/replay-ledger.ts';
import { BrokenSessions } from './left-out.ts';
import type { LeftOut } from './left-out.ts';

export interface Regression {
  readonly bundle: ReplayBundle;
  readonly expected: Replayed;
  readonly leftOut: readonly LeftOut[];
}

const ENGINES: ReadonlySet<string> = new Set(['echo', 'scripted']);

interface Asked {
  readonly label: string;
  readonly entry: CommandAccepted | CommandSettled;
  readonly session: string | undefined;
}

/** `without`: sessions that are left out for a reason that is known before. */
export function regressionOf(
  entries: readonly Entry[],
  redaction: Redaction | undefined,
  without: ReadonlyMap<string, string> = new Map(),
): Regression {
  const window = new Window(entries);
  const leftOut: LeftOut[] = [...without].map(([session, reason]) => ({ what: `session ${session}`, reason }));
  const broken = new BrokenSessions();
  for (const session of without.keys()) broken.break(session, 0);
  /** Said of the session as a whole. */
  const told = new Set(without.keys());
  /** Sessions that are made when the window is run again. */
  const made = new Set<string>();
  const commands: (RecordedCommand & { readonly label: string })[] = [];
  const kept = new Set<string>();
  const sessionIds: string[] = [];
  const first = window.asked[0]?.entry.at ?? 0;
  let waited = 0;
  for (const asked of window.asked) {
    const { label, entry, session } = asked;
    const begins = window.begins(entry.offset);
    // Unless it is there already, in the part that is run again.
    if (begins !== undefined && !without.has(begins) && !made.has(begins)) {
      broken.mend(begins, entry.offset);
      told.delete(begins);
    }
    if (session !== undefined && broken.has(session, entry.offset)) {
      if (!told.has(session))
        leftOut.push({ what: nameOf(asked), reason: `comes behind one of session ${session} that is left out` });
      continue;
    }
    const text = (redaction?.entry(entry) ?? entry) as typeof entry;
    const reason = window.reasonAgainst(asked, text, kept);
    if (reason !== undefined) {
      leftOut.push({ what: reason.session ? `session ${session}` : nameOf(asked), reason: reason.text });
      if (session !== undefined)
        broken.break(session, reason.session ? window.incarnationOf(session, entry.offset) : entry.offset);
      if (session !== undefined && reason.session) told.add(session);
      continue;
    }
    const ended = window.endedBetween(waited, entry.offset).filter((each) => kept.has(each));
    const events = window.eventsOfTurns(entry.offset, broken);
    waited = entry.offset;
    kept.add(label);
    if (begins !== undefined) made.add(begins);
    const opened = window.drawnId(entry);
    if (opened !== undefined) sessionIds.push(opened);
    commands.push({
      label,
      text: text.content.command,
      ...(entry.principal !== OPERATOR && { as: entry.principal }),
      ...(entry.at > first && { at: entry.at - first }),
      ...(ended.length > 0 && { ended }),
      ...(events !== undefined && { events }),
    });
  }
  const endAt = window.passiveUntil - first;
  const outcomes = Object.fromEntries([...window.ledger.outcomes].filter(([label]) => kept.has(label)));
  const ended = window.endedBetween(waited, Infinity).filter((each) => kept.has(each));
  return {
    bundle: {
      startAt: first,
      commands: commands.map(({ label: _label, ...command }) => command),
      ...(sessionIds.length > 0 && { sessionIds }),
      ...(ended.length > 0 && { ended }),
      ...(endAt > (commands.at(-1)?.at ?? 0) && { endAt }),
    },
    expected: { outcomes, events: window.eventsBeside(broken) },
    leftOut,
  };
}

/** What a replay made otherwise, by session. What belongs to no session is under ''. */
export function differencesOf({ expected }: Regression, replayed: Replayed, entries: readonly Entry[]) {
  const found = new Map<string, string>();
  const sessions = new Map(new Window(entries).asked.map(({ label, session }) => [label, session ?? '']));
  for (const [label, outcome] of Object.entries(expected.outcomes)) {
    const now = replayed.outcomes[label];
    if (JSON.stringify(now) === JSON.stringify(outcome)) continue;
    const text = `run again, ${label} ended with ${told(now)} and not with ${told(outcome)}: moments decided`;
    const session = sessions.get(label) ?? '';
    if (!found.has(session)) found.set(session, text);
  }
  for (const session of new Set([...Object.keys(expected.events), ...Object.keys(replayed.events)])) {
    if (JSON.stringify(expected.events[session]) === JSON.stringify(replayed.events[session])) continue;
    if (!found.has(session)) found.set(session, 'run again, its events were others: moments decided');
  }
  return found;
}

function told(outcome: ReplayedOutcome | undefined): string {
  if (outcome === undefined) return 'nothing';
  return outcome.success ? 'success' : (outcome.errorCode ?? 'failure');
}

function nameOf({ label, entry }: Asked): string {
  return `${entry.commandType} ${label}`;
}

/** The entries, as the questions about them want them. */
class Window {
  readonly asked: Asked[] = [];
  readonly ledger = new ReplayLedger();
  /** By session: which engine it was made with, from the command on that made it. */
  readonly #opened = new Map<string, { readonly from: number; readonly engine: string }[]>();
  /** Reads that somebody recorded: that they were asked for, and not what. */
  readonly #reads = new Set<string>();
  /** When time alone caused something last. */
  passiveUntil = 0;
  readonly #ends: { offset: number; readonly label: string }[] = [];
  /** By label: why a boot ended it or ran it again. */
  readonly #crashed = new Map<string, string>();
  readonly #openedBy = new Map<number, string>();
  /** Events of each session, and whether a turn was open then. */
  readonly #events: { offset: number; readonly session: string; readonly types: readonly string[] }[] = [];
  /** By session: where a turn was ended by a command whose own entry is still to come. */
  readonly #interrupted = new Map<string, number>();
  readonly #turns: { readonly session: string; readonly from: number; to: number }[] = [];

  constructor(entries: readonly Entry[]) {
    for (const entry of entries) this.#take(entry);
  }

  reasonAgainst(
    { label, entry, session }: Asked,
    stored: CommandAccepted | CommandSettled,
    kept: ReadonlySet<string>,
  ): { readonly text: string; readonly session?: true } | undefined {
    if (session === undefined || (entry.lane === SERVER_LANE && entry.sessionId === undefined))
      return { text: 'is about the server and no session' };
    const engine = this.#openingOf(session, entry.offset)?.engine;
    if (engine !== undefined && !ENGINES.has(engine))
      return { text: `its engine is ${engine}, and only echo and scripted say the same again`, session: true };
    if (entry.blanked === true) return { text: 'was blanked: what it asked for is not there any more' };
    if (stored.fingerprint !== undefined) return { text: 'was redacted: what it asked for is not all there' };
    const crash = this.#crashed.get(label);
    if (crash !== undefined) return { text: crash };
    if (!this.ledger.outcomes.has(label)) return { text: 'has no outcome in this window' };
    const missing = entry.dependsOn?.find((id) => !kept.has(labelOf(entry.principal, id)));
    if (missing !== undefined)
      return { text: `waits for ${missing}, ${this.#whyMissing(labelOf(entry.principal, missing))}` };
    const isThere = engine !== undefined || entry.commandType === 'create_session' || this.#fails(label);
    return isThere ? undefined : { text: 'was there before this window begins', session: true };
  }

  /** The session that is made by the command of that offset. */
  begins(offset: number): string | undefined {
    return this.#openedBy.get(offset);
  }

  /** Where the session of then begins; 0: before this window. */
  incarnationOf(session: string, offset: number): number {
    return this.#openingOf(session, offset)?.from ?? 0;
  }

  #openingOf(session: string, offset: number) {
    return this.#opened.get(session)?.findLast(({ from }) => from <= offset);
  }

  #whyMissing(label: string): string {
    if (this.ledger.outcomes.has(label)) return 'which is left out';
    return this.#reads.has(label)
      ? 'which is a read: what it asked for is not recorded'
      : 'which is not in this window';
  }

  endedBetween(after: number, before: number): string[] {
    return this.#ends.filter(({ offset }) => offset > after && offset < before).map(({ label }) => label);
  }

  /** How many events there were of each session whose turn was running; a turn is to be met where it was. */
  eventsOfTurns(offset: number, broken: BrokenSessions): { [session: string]: number } | undefined {
    const running = this.#turns.filter(
      ({ session, from, to }) => from < offset && to > offset && !broken.has(session, offset),
    );
    const counts = running.map(({ session }) => [session, this.#count(session, offset, broken)] as const);
    const some = counts.filter(([, count]) => count > 0);
    return some.length === 0 ? undefined : Object.fromEntries(some);
  }

  eventsBeside(broken: BrokenSessions): { [session: string]: string[] } {
    const found: { [session: string]: string[] } = {};
    for (const { offset, session, types } of this.#events)
      if (!broken.has(session, offset)) (found[session] ??= []).push(...types);
    return found;
  }

  /** The id that the server drew for a session whose client named none. */
  drawnId({ offset, content }: CommandAccepted | CommandSettled): string | undefined {
    const session = this.#openedBy.get(offset);
    if (session === undefined) return undefined;
    return (JSON.parse(content.command) as { sessionId?: string }).sessionId === undefined ? session : undefined;
  }

  #fails(label: string): boolean {
    return this.ledger.outcomes.get(label)?.success === false;
  }

  #count(session: string, before: number, broken: BrokenSessions): number {
    let count = 0;
    for (const event of this.#events)
      if (event.session === session && event.offset < before && !broken.has(session, event.offset))
        count += event.types.length;
    return count;
  }

  #take(entry: Entry): void {
    const label = this.ledger.take(entry);
    const opened = openingOf(entry);
    const { offset } = entry;
    if (opened !== undefined) {
      const from = entry.kind === 'command.finished' ? entry.acceptedOffset : offset;
      const before = this.#opened.get(opened.sessionId) ?? [];
      this.#opened.set(opened.sessionId, [...before, { from, engine: opened.engine }]);
    }
    const session = sessionOf(entry);
    if (label !== undefined && (entry.kind === 'command.accepted' || entry.kind === 'command.settled')) {
      this.asked.push({ label, entry, session: session ?? opened?.sessionId });
      this.#comesFirst(session, offset);
    }
    switch (entry.kind) {
      case 'command.settled':
        this.#end(entry, label, offset, session);
        if (opened !== undefined) this.#openedBy.set(offset, opened.sessionId);
        break;
      case 'command.finished': {
        const ended = this.ledger.labelAt(entry.acceptedOffset);
        if (opened !== undefined) this.#openedBy.set(entry.acceptedOffset, opened.sessionId);
        this.#end(entry, ended, offset, session);
        if (entry.interrupted === true && entry.timedOut !== true && session !== undefined)
          this.#interrupted.set(session, offset);
        if (ended !== undefined && entry.recovered !== undefined)
          this.#crashed.set(ended, `was ended by a start of the server (${entry.recovered})`);
        for (const turn of this.#turns) if (turn.session === session && turn.to === Infinity) turn.to = offset;
        break;
      }
      case 'command.started': {
        const started = this.ledger.labelAt(entry.acceptedOffset);
        if (entry.attempt > 1 && started !== undefined)
          this.#crashed.set(started, 'was begun again after the server had died');
        if (entry.content.turn !== undefined && session !== undefined)
          this.#turns.push({ session, from: offset, to: Infinity });
        break;
      }
      case 'session.event':
        this.#events.push({ offset, session: entry.sessionId, types: [entry.eventType] });
        if (entry.commandId === undefined) this.passiveUntil = entry.at;
        break;
      case 'session.expired':
        this.passiveUntil = entry.at;
        break;
      case 'read.audited':
        this.#reads.add(labelOf(entry.principal, entry.commandId));
        break;
      default:
        break;
    }
  }

  /** What an abort ended stands before the abort itself, and comes of it all the same. */
  #comesFirst(session: string | undefined, offset: number): void {
    const from = session === undefined ? undefined : this.#interrupted.get(session);
    if (session === undefined || from === undefined) return;
    this.#interrupted.delete(session);
    const behind = offset + 0.5;
    for (const each of [...this.#ends, ...this.#events])
      if (each.offset >= from && each.offset < offset) each.offset = behind;
    for (const turn of this.#turns) if (turn.session === session && turn.to === from) turn.to = behind;
  }

  #end(
    { content }: Extract<Entry, { kind: 'command.settled' | 'command.finished' }>,
    label: string | undefined,
    offset: number,
    session: string | undefined,
  ): void {
    const types = (content.events ?? []).map(({ type }) => type);
    if (session !== undefined && types.length > 0) this.#events.push({ offset, session, types });
    if (label !== undefined) this.#ends.push({ offset, label });
  }
}

function sessionOf(entry: Entry): string | undefined {
  if ('sessionId' in entry && entry.sessionId !== undefined) return entry.sessionId;
  return entry.lane.startsWith('session:') ? entry.lane.slice('session:'.length) : undefined;
}
