/**
 * What the journal holds: a fact with its envelope.
 *
 * Every field outside `content` is identity, order or outcome: it is covered by the hash chain as it stands. Of `content`
 * the chain covers the digest alone, so that retention can blank it later and the chain still verifies.
 *
 * State is a function of entries: folding them gives what the live runtime holds.
 */
import type { Json } from './json.ts';
import type { SessionEvent, SessionFact } from './session/event.ts';
import type { SessionState } from './session/session-state.ts';

/** Ordered part of a mailbox. `work` is FIFO and one at a time, `control` never waits for work, `read` answers at once. */
export type MailboxLane = 'work' | 'control' | 'read';

/** The journal lane of what belongs to no session. */
export const SERVER_LANE = 'server';

/** The journal lane (hash chain) of a session; not to be mixed up with the lanes of its mailbox. */
export function sessionLane(sessionId: string): string {
  return `session:${sessionId}`;
}

/** The session whose journal lane this is; undefined of the server's. */
export function sessionIn(lane: string): string | undefined {
  const prefix = sessionLane('');
  return lane.startsWith(prefix) ? lane.slice(prefix.length) : undefined;
}

interface EntryHead {
  /** Position in the whole journal, from 1, gap-free. Given by the runtime, which is the only writer. */
  readonly offset: number;
  /** `server` or `session:ID`. */
  readonly lane: string;
  /** Position in the lane, from 1, gap-free. */
  readonly laneSeq: number;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
  /** What people and engines said was removed from `content` later, by retention or purge. Set by the journal that reads it. */
  readonly blanked?: true;
  /** Before it was stored, `content` lost something to the rules of redaction: it shows a mark where the live one said it. */
  readonly redacted?: true;
}

/** Identity of a command, repeated on the entry that accepts it. */
interface CommandIdentity {
  readonly commandId: string;
  readonly commandType: string;
  /** The client chose `commandId`; generated ids are not to be deduplicated. */
  readonly explicitId: boolean;
  readonly principal: string;
  readonly mailbox: MailboxLane;
  readonly sessionId?: string;
  readonly idempotencyKey?: string;
  /** What the key is unique in: the session's incarnation, or the server. */
  readonly keyScope?: string;
  readonly traceparent?: string;
  /** Hex sha256 of the command as received, where the stored one lost something to redaction: such a one is never run again. */
  readonly fingerprint?: string;
  /** It is no activity that keeps a session alive (see `session/lease.ts`). */
  readonly passive?: true;
}

interface OutcomeHead {
  readonly success: boolean;
  readonly errorCode?: string;
  readonly timedOut?: true;
  /** Version of the session after the command; absent for server commands and for failures. */
  readonly sessionVersion?: number;
}

interface OutcomeContent {
  readonly error?: string;
  readonly data?: Json;
  readonly details?: Json;
  /** Durable events that the command caused, numbered `seq - events.length + 1` to `seq`. */
  readonly events?: readonly SessionEvent[];
  readonly facts?: readonly SessionFact[];
}

/** Admitted and not settled in the same step. `command` is the text as received, valid JSON. */
export interface CommandAccepted extends EntryHead, CommandIdentity {
  readonly kind: 'command.accepted';
  readonly dependsOn?: readonly string[];
  /** Absolute time of its timeout, if it has one. */
  readonly deadlineAt?: number;
  readonly content: { readonly command: string };
}

/** Reached its lane's head and began to act. `attempt` counts from 1 over restarts. */
export interface CommandStarted extends EntryHead {
  readonly kind: 'command.started';
  readonly commandId: string;
  readonly sessionId?: string;
  /** Offset of its `command.accepted`. */
  readonly acceptedOffset: number;
  readonly attempt: number;
  /** A turn began: `turn` is the handler's input for the engine, absent for other work. */
  readonly content: { readonly turn?: Json };
}

/** Accepted, started and finished in one step. */
export interface CommandSettled extends EntryHead, CommandIdentity, OutcomeHead {
  readonly kind: 'command.settled';
  readonly dependsOn?: readonly string[];
  /** The session's last sequence number after this entry's events. */
  readonly seq?: number;
  readonly content: OutcomeContent & { readonly command: string };
}

/** The outcome of a command that was accepted by an entry of its own. */
export interface CommandFinished extends EntryHead, OutcomeHead {
  readonly kind: 'command.finished';
  readonly commandId: string;
  readonly commandType: string;
  readonly sessionId?: string;
  /** Offset of its `command.accepted`. */
  readonly acceptedOffset: number;
  readonly seq?: number;
  /** The turn was ended from outside: its engine may hold the lane until `turn.released`. */
  readonly interrupted?: true;
  /** Set when a boot classified it: why. */
  readonly recovered?: string;
  readonly passive?: true;
  readonly content: OutcomeContent & { readonly resume?: Json };
}

/** One durable event of a running turn. */
export interface SessionEventEntry extends EntryHead {
  readonly kind: 'session.event';
  readonly sessionId: string;
  readonly commandId?: string;
  readonly seq: number;
  readonly eventType: string;
  readonly content: { readonly event: SessionEvent };
}

/** An engine let go of a turn whose command was over before (aborted, timed out), perhaps with a new resume handle. */
export interface TurnReleased extends EntryHead {
  readonly kind: 'turn.released';
  readonly sessionId: string;
  readonly commandId: string;
  readonly content: { readonly resume?: Json };
}

/** Activity near the end of a session put it off. In the batch of what caused it. */
export interface LeaseExtended extends EntryHead {
  readonly kind: 'lease.extended';
  readonly sessionId: string;
  readonly deadlineAt: number;
  /** So far, this one included. */
  readonly extensions: number;
  readonly content: Record<string, never>;
}

/** The session's time was over and nothing kept it alive: it is closed. */
export interface SessionExpired extends EntryHead {
  readonly kind: 'session.expired';
  readonly sessionId: string;
  readonly deadlineAt: number;
  readonly content: Record<string, never>;
}

export interface ServerStarted extends EntryHead {
  readonly kind: 'server.started';
  readonly boot: number;
  readonly serverVersion: string;
  /** `cause`: what had failed, when the process went on and rebuilt itself from the journal. */
  readonly content: { readonly cause?: { readonly child: string; readonly error: string } };
}

/** Everything in flight was classified; the counts are what `get_startup_recovery` says. */
export interface ServerRecovered extends EntryHead {
  readonly kind: 'server.recovered';
  readonly boot: number;
  readonly classified: number;
  readonly requeued: number;
  readonly content: Record<string, never>;
}

export interface ServerStopped extends EntryHead {
  readonly kind: 'server.stopped';
  readonly boot: number;
  readonly content: Record<string, never>;
}

/** The journal goes on from a backup. Written by the restore, before the first start. */
export interface JournalRestored extends EntryHead {
  readonly kind: 'journal.restored';
  /** Sessions that exist: each got a new epoch, by the `session.restored` entries behind this one. */
  readonly sessions: number;
  /** `backup`: name of the file. */
  readonly content: { readonly backup: string };
}

/**
 * What came after the backup is lost, and whoever saw it must not go on from there: the numbers of the session's events go on
 * in a new epoch.
 */
export interface SessionRestored extends EntryHead {
  readonly kind: 'session.restored';
  readonly sessionId: string;
  readonly epoch: string;
  readonly content: Record<string, never>;
}

/** A task of housekeeping ran: what the schedule counts from, over restarts. */
export interface HousekeepingFinished extends EntryHead {
  readonly kind: 'housekeeping.finished';
  readonly task: 'backup' | 'compaction' | 'retention';
  readonly trigger: 'schedule' | 'command';
  readonly ok: boolean;
  readonly startedAt: number;
  readonly tookMs: number;
  /** `result`: what the task says of itself. `error`: why it failed, for people. */
  readonly content: { readonly result?: Json; readonly error?: string };
}

/**
 * The content of a session is removed from everything before this entry. In the session's lane it ends the session as well; in the
 * server's lane the session was over already.
 */
export interface SessionPurged extends EntryHead {
  readonly kind: 'session.purged';
  readonly sessionId: string;
  readonly content: Record<string, never>;
}

/** Somebody looked at something: written with `journal.auditReads` alone, before the answer leaves. */
export interface ReadAudited extends EntryHead {
  readonly kind: 'read.audited';
  readonly commandId: string;
  readonly commandType: string;
  readonly explicitId: boolean;
  readonly principal: string;
  readonly sessionId?: string;
  readonly content: Record<string, never>;
}

/**
 * What all entries of its lane up to here come to: folding may begin with it, and those in front of it may be dropped. Nothing was
 * under way in the lane. Without `state` the lane's last session is over.
 */
export interface LaneCompacted extends EntryHead {
  readonly kind: 'lane.compacted';
  readonly sessionId: string;
  /** Of the session, as it stands. */
  readonly seq?: number;
  readonly sessionVersion?: number;
  /** Acceptances in other lanes whose outcomes are among the entries in front, by offset. */
  readonly ended: readonly number[];
  /** The lane's last session is over because its time was: who asks for it is told so. */
  readonly expired?: true;
  readonly content: { readonly state?: SessionState };
}

/** A fact of the journal. */
export type Entry =
  | CommandAccepted
  | CommandStarted
  | CommandSettled
  | CommandFinished
  | SessionEventEntry
  | TurnReleased
  | LeaseExtended
  | SessionExpired
  | ServerStarted
  | ServerRecovered
  | ServerStopped
  | JournalRestored
  | SessionRestored
  | HousekeepingFinished
  | SessionPurged
  | ReadAudited
  | LaneCompacted;

/** What a fact is about; past tense. */
export type EntryKind = Entry['kind'];

/** An entry as the journal keeps it. */
export interface StoredEntry {
  readonly entry: Entry;
  /** Hex sha256 over the predecessor's hash in the lane, the entry without its content, and the content's digest. */
  readonly hash: string;
  /** Hex sha256 of the command as received (see `fingerprint` in `src/protocol`); on entries that carry a command. */
  readonly fingerprint?: string;
  /** Hex sha256 that stands for the content as it was in the chain; of a blanked entry. */
  readonly digest?: string;
}

/** Something in a journal that can't be so. Without a lane it is about a place where there is no entry. */
export interface JournalProblem {
  readonly lane?: string;
  readonly laneSeq?: number;
  readonly offset: number;
  readonly problem: string;
}

export type CheckCount = { readonly checked: number; readonly wrong: number };

/** What was checked of a journal, and found. */
export interface JournalReport {
  readonly ok: boolean;
  readonly entries: number;
  /** Journal lanes, each with its hash chain. */
  readonly lanes: number;
  /** Sessions that exist at the end. */
  readonly sessions: number;
  readonly commands: number;
  readonly outcomes: number;
  /** Accepted and without an outcome at the end: in flight, or for the next boot to classify. */
  readonly openCommands: number;
  readonly events: number;
  readonly boots: number;
  readonly lastOffset: number;
  /** How much could be held against what it must be, and how often that was found wrong. */
  readonly checks: {
    readonly entries: CheckCount;
    readonly anchors: CheckCount;
    /** What remains of dropped commands. */
    readonly remains: CheckCount;
  };
  /** Lanes whose older entries were dropped: what is left of them is chained to the hash of the last one that was. */
  readonly anchors: number;
  /** Entries that were dropped: of them only number and last hash are known. */
  readonly droppedEntries: number;
  /** Those of them that remain without content, because an id or key is known by them. */
  readonly remains: number;
  /** Entries whose content was removed: the chain is checked over its digest, what it said is not. */
  readonly blankedEntries: number;
  readonly problemCount: number;
  /** The first ones, in the order in which they were found. */
  readonly problems: readonly JournalProblem[];
}

/** Which entries are read, and for whom. */
export interface EntryRange {
  readonly after: number;
  readonly limit: number;
  readonly lane?: string;
  /**
   * They are folded and forgotten: a reader may read the parts of an entry when they are asked for, and notices what is damaged
   * in none of the others. Nothing but the fields of such an entry can be relied on.
   */
  readonly toFold?: true;
}

/** Entries as they were committed, of a running server or of a file. */
export interface EntryReader {
  /** Entries with `offset > after`, ascending, at most `limit`, of one journal lane if given. An empty array is the end. */
  scan(range: EntryRange): Promise<StoredEntry[]>;
  /** The entry at an offset, if there is one. */
  read(offset: number): Promise<StoredEntry | undefined>;
}

/** The reading side of the journal; sees committed entries only. */
export interface JournalReader extends EntryReader {
  /**
   * Checks everything up to offset `last` against the hash chains and the rules of the runtime, in pieces that leave others
   * their turn. Damage is what the report tells, not a rejection.
   */
  verify(last: number): Promise<JournalReport>;
}

/** An entry before the journal writer gave it its place. */
export type EntryDraft = Entry extends infer E
  ? E extends Entry
    ? Omit<E, Exclude<keyof EntryHead, 'redacted'>>
    : never
  : never;
