/**
 * The runtime's own vocabulary: principals, command contracts, decisions, outcomes.
 *
 * The runtime knows a command's contract (lane, timeout class, whether it changes anything) and never its payload: what a
 * payload means is decided by the handler that stands beside its schema in `src/commands`.
 */
import type { EntryReader, JournalReader, MailboxLane } from './entry.ts';
import type { Json } from './json.ts';
import type { SessionEvent, SessionFact } from './session/event.ts';
import type { SessionSummary } from './session-record.ts';
import type { SessionView } from './session/session-state.ts';

export type { Json, JournalReader, MailboxLane, SessionSummary, SessionView };

/** `short` and `long` are configured in milliseconds, `none` means that only the client's patience ends it. */
export type TimeoutClass = 'short' | 'long' | 'none';

/** What a principal may do. Scopes do not include one another. */
export type Scope = 'observe' | 'drive' | 'approve' | 'exec' | 'operate';

/** Who asks, and what they may do. */
export interface Principal {
  readonly id: string;
  readonly scopes: readonly string[];
}

/** A command as the client sent it, after validation. Fields beyond the envelope belong to the handler. */
export interface CommandFrame {
  readonly type: string;
  readonly id?: string;
  readonly sessionId?: string;
  readonly dependsOn?: readonly string[];
  readonly ifSessionVersion?: number;
  readonly idempotencyKey?: string;
  readonly traceparent?: string;
  readonly respond?: 'accepted';
  readonly [field: string]: unknown;
}

/** The terminal result of a command. Absent fields are absent on the wire as well. */
export type Outcome = Success | Failure;

/** A command did what was asked. */
export interface Success {
  readonly success: true;
  readonly data?: Json;
  /** `redacted`: what was shown once is not kept any more. */
  readonly details?: { readonly redacted: true };
}

/** A command that did not, with the reason as a code. */
export interface Failure {
  readonly success: false;
  /** Stable, upper snake case; one of the codes in `src/protocol/errors.ts`. */
  readonly errorCode: string;
  /** Text for people. */
  readonly error: string;
  readonly timedOut?: true;
  readonly details?: Json;
}

/** A failed outcome. */
export function failure(errorCode: string, error: string, details?: Json): Failure {
  return details === undefined ? { success: false, errorCode, error } : { success: false, errorCode, error, details };
}

/** What a connection is told to do when the response leaves: volatile, never journalled. */
export type ConnectionEffect =
  | {
      readonly type: 'attach';
      readonly sessionId: string;
      readonly deltas: DeltaMode;
      readonly after: After;
      readonly role?: AttachRole;
    }
  | { readonly type: 'detach'; readonly sessionId: string }
  | {
      readonly type: 'subscribe';
      readonly topics: readonly Topic[];
      readonly scope: LifecycleScope;
    }
  | { readonly type: 'unsubscribe'; readonly topics: readonly Topic[] };

export type DeltaMode = 'full' | 'compact' | 'none';

/** What a client has seen of a session: everything up to the durable event `seq` of an epoch. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Behind what a client wants to see events: a cursor, from the first one on, or from now on. */
export type After = Cursor | 'start' | 'live';

/** What part a client takes when a session asks questions. */
export type AttachRole = 'observer' | 'driver' | 'approver';
export type Topic = 'lifecycle' | 'sessions';
export type LifecycleScope = 'own' | 'visible';

/**
 * What a handler makes of a command. Pure data: the runtime records it, evolves, and releases what follows.
 *
 * - `settle`: the outcome is known now. `events` are durable and get sequence numbers, `facts` change the session.
 *   `unchanged` keeps the session version although the command succeeded (abort of nothing).
 * - `open`: create the session that `spec` describes. The runtime checks existence and limits, prepares the engine and
 *   draws the epoch. `respond` shapes the success data from the new session.
 * - `turn`: hold the work lane and call the session's engine with `input`.
 * - `interrupt`: end the running (or else the next queued) turn, and drop what was queued for it.
 * - `close`: end and forget the session.
 * - `consult`: the answer is in the journal; for reads that show what was recorded. What it finds is durable by nature.
 */
export type Decision =
  | SettleDecision
  | ConsultDecision
  | {
      readonly do: 'open';
      readonly spec: SessionSpec;
      readonly respond: (session: SessionView) => Json;
    }
  | { readonly do: 'turn'; readonly input: Json }
  | { readonly do: 'interrupt'; readonly data?: Json }
  | { readonly do: 'close'; readonly reason: string; readonly data: Json };

export interface SettleDecision {
  readonly do: 'settle';
  readonly outcome: Outcome;
  readonly events?: readonly SessionEvent[];
  readonly facts?: readonly SessionFact[];
  readonly effects?: readonly ConnectionEffect[];
  readonly unchanged?: true;
}

export interface ConsultDecision {
  readonly do: 'consult';
  readonly consult: (journal: JournalReader) => Promise<Outcome>;
}

/** What a client asked for when it created a session; `input` belongs to the engine. */
export interface SessionSpec {
  readonly engine: string | undefined;
  readonly input?: Json;
  readonly name?: string;
  readonly cwd?: string;
  readonly labels?: Json;
  /** How long it lives without activity near its end; the server's default without it. */
  readonly ttlMs?: number;
}

/** A chart at rest: where it stands, what it knows, and the charts below it by name. */
export interface ChartView {
  readonly value: Json;
  readonly context: { readonly [key: string]: Json };
  readonly children: { readonly [name: string]: ChartView };
}

/** A session at one place of its journal lane: its chart, and in `context` its data beside what the chart knows. */
export interface SessionPicture extends ChartView {
  /** The newest event. */
  readonly seq: number;
  readonly epoch: string;
  readonly machineId: string;
  readonly machineVersion: string;
}

/** What of a session is to be shown: of its newest incarnation if no epoch is given, at its end if no event is. */
export interface PictureQuestion {
  readonly epoch?: string;
  readonly seq?: number;
  readonly mailboxDepthMax: number;
}

/** `headSeq`: the newest event there is, when a later one was asked for. */
export type NotThere =
  | { readonly missing: 'session' | 'epoch' }
  | { readonly missing: 'seq'; readonly headSeq: number }
  | { readonly missing: 'dropped'; readonly firstSeq: number };

/** What a handler of a server command may look at. */
export interface ServerView {
  readonly now: number;
  readonly serverVersion: string;
  readonly sessionCount: number;
  /** A session that is in memory. */
  session(id: string): SessionView | undefined;
  /** Chart and data of a session as they are now. */
  picture(id: string): SessionPicture | undefined;
  /** As they were at an event, from the journal: page by page. */
  pictureAt(
    journal: EntryReader,
    id: string,
    at: Omit<PictureQuestion, 'mailboxDepthMax'>,
  ): Promise<SessionPicture | NotThere>;
  /** In order of creation, from the session `from` on if there is one of that name. */
  sessions(from?: string): Iterable<SessionSummary>;
  /** Sessions that are set aside, because their entries can't be folded or because they fail again and again. */
  quarantined(): Iterable<QuarantinedSession>;
  /** The session's running turn and its unfinished assistant message, for those who attach in the middle. */
  runningTurn(sessionId: string): RunningTurn | undefined;
  readonly recovery: RecoverySummary;
  readonly live: LiveCounts;
  readonly activity: ActivityCounts;
  readonly journal: JournalCounts;
  /** The last runs, newest last. */
  readonly housekeeping: readonly HousekeepingRun[];
  /** Makes a backup now, or waits for the one that is being made. Never rejects. */
  backUp(): Promise<Outcome>;
  /** Drops what is old of the journal now, or waits for the run that does. Never rejects. */
  compact(): Promise<Outcome>;
  /** Drops what journal.retention says may not be there; settles when it is over. */
  applyRetention(): Promise<Outcome>;
  /** Reasons why the server is not healthy; empty when it is. */
  readonly issues: readonly string[];
  engineCapabilities(kind: string): readonly string[];
  /** Ends a session and removes its content, also of one that is over. */
  purge(sessionId: string): Promise<Outcome>;
}

export type HousekeepingTask = 'backup' | 'compaction' | 'retention';

/** How a task of housekeeping ended; `result` says of a success what was done, `error` of a failure why, for people. */
export interface HousekeepingRun {
  readonly task: HousekeepingTask;
  readonly trigger: 'schedule' | 'command';
  readonly ok: boolean;
  readonly startedAt: number;
  readonly tookMs: number;
  readonly result?: Json;
  readonly error?: string;
}

/** `offset`: the journal entry that can't be folded, or the newest one when the session failed once too often. */
export interface QuarantinedSession {
  readonly id: string;
  readonly offset: number;
  readonly error: string;
}

/** What is in memory now. Counted when somebody asks. */
export interface LiveCounts {
  /** Sessions in memory, those that are being opened included. */
  readonly sessions: number;
  /** Sessions that exist and are not in memory. */
  readonly passive: number;
  readonly mailboxes: number;
  /** Root actors: sessions, connections, the router, the server. */
  readonly actors: number;
  /** Actors below a root: lanes, turns and commands of sessions that work. */
  readonly children: number;
  readonly timers: number;
  /** Sessions whose next warning or end is awaited; one timer more serves them all. */
  readonly leases: number;
  readonly connections: number;
  /** Attachments of connections to sessions. */
  readonly viewers: number;
  /** Those of them that are being shown what they missed. */
  readonly catchUps: number;
  /** Frames, engine calls and timers that wait for a commit. */
  readonly held: number;
  /** Ids and keys by which a command is known. */
  readonly known: number;
  /** Journal lanes whose end is at hand. */
  readonly lanes: number;
}

/** What happened since the process started. */
export interface ActivityCounts {
  readonly admitted: number;
  /** Work of an earlier boot that was taken back. */
  readonly requeued: number;
  /** Outcomes of admitted commands; the failed ones by their code. */
  readonly succeeded: number;
  readonly failed: ReadonlyMap<string, number>;
  /** Commands that were known already and got the outcome of the first one. */
  readonly replayed: number;
  /** Frames that were not admitted, by code. */
  readonly refused: ReadonlyMap<string, number>;
  readonly connectionsRefused: number;
  /** Children of the supervision tree that were started again. */
  readonly restarts: number;
  /** Of sessions: written, not written, and not taken over by who could have restored from them. */
  readonly snapshots: { readonly kept: number; readonly failed: number; readonly unfit: number };
  /** Of all that a boot needs, likewise. */
  readonly checkpoints: { readonly kept: number; readonly failed: number; readonly unfit: number };
}

export interface JournalCounts {
  /** Offset of the newest entry, durable or not. */
  readonly offset: number;
  /** Entries and batches since the process started; `durable` of the batches are committed. */
  readonly entries: number;
  readonly batches: number;
  readonly durable: number;
  readonly writable: boolean;
}

/** `text` is what no `message_end` has closed yet, cut at `limits.partialTextBytesMax`. */
export interface RunningTurn {
  readonly commandId: string;
  readonly text: string;
  readonly truncated?: true;
}

/** What a boot found and did; `get_startup_recovery` adds the base protocol's field names. */
export interface RecoverySummary {
  readonly boot: number;
  readonly journal: string;
  readonly durable: boolean;
  readonly entriesScanned: number;
  readonly sessions: number;
  readonly recoveredOutcomes: number;
  readonly classified: readonly RecoveredCommand[];
  readonly requeued: number;
  readonly startedAt: number;
  readonly tookMs: number;
}

export interface RecoveredCommand {
  readonly commandId: string;
  readonly commandType: string;
  readonly sessionId?: string;
  readonly lastPhase: 'accepted' | 'started';
  readonly errorCode: string;
  readonly reason: string;
}

export type CommandActivity = 'user' | 'none';

interface ContractBase {
  readonly type: string;
  /** The principal needs it; checked before anything is admitted. */
  readonly scope: Scope;
  readonly lane: MailboxLane;
  /** False for reads and for what changes a connection alone: such commands are answered and not journalled. */
  readonly journalled: boolean;
  readonly timeout: TimeoutClass;
  /** A turn holds the work lane until its outcome; everything else is settled at the lane's head in one step. */
  readonly turn: boolean;
  /** May run again after a crash in the middle; other started commands end INTERRUPTED. */
  readonly idempotent: boolean;
  /** Whether it keeps its session alive: somebody works with it (`user`), or only looks at it (`none`). */
  readonly activity: CommandActivity;
}

/** Everything that the runtime needs to know of a command type. One per type, in one registry. */
export type CommandContract = SessionCommandContract | ServerCommandContract;

/** A command of a session. */
export interface SessionCommandContract extends ContractBase {
  /** `opens`: runs on an absent session (create). `session`: needs one. */
  readonly target: 'session' | 'opens';
  /** It ends what runs: while nothing can be recorded there is nothing left to end, and it is answered so. */
  readonly interrupts?: boolean;
  /** It ends its session: a retry comes when that is gone, so its keys are unique per principal, as a server command's. */
  readonly endsSession?: boolean;
  /** Pure. Called at the lane's head; `session` is absent only for `opens`. */
  decide(frame: CommandFrame, session: SessionView | undefined, server: ServerView): Decision;
}

/** A command that concerns no session. */
export interface ServerCommandContract extends ContractBase {
  readonly target: 'server';
  decide(frame: CommandFrame, server: ServerView): SettleDecision | ConsultDecision;
}
