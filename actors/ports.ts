/**
 * What the runtime needs from outside, as interfaces with their guarantees written out. Implementations live in `src`;
 * one conformance suite per port certifies them.
 */
import type { Entry, JournalReader, StoredEntry } from './entry.ts';
import type { JournalSize, LaneAnchor, LaneStore } from './lane-store.ts';
import type { CommandContract, CommandFrame, Failure, Json, Outcome, Principal, SessionView } from './message.ts';
import type { SessionEvent } from './session/event.ts';

/** Time comes in through here alone. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(handle: unknown): void;
  /** Runs once the I/O callbacks of this tick are through: the moment when the open batch is handed to the journal. */
  defer(callback: () => void): void;
}

/** Randomness comes in through here alone. */
export interface Ids {
  /** Opaque, without a colon, never drawn twice. */
  epoch(): string;
  sessionId(): string;
}

/**
 * Takes away from what is stored what the operator's rules name; what runs is never changed. Pure, never throws. The very value
 * that it was given when there is nothing to take away.
 */
export interface Redaction {
  /** As it is to be stored, marked as `redacted` if it lost something. */
  entry(entry: Entry): Entry;
  /** A session's fold or some of its fields, as a snapshot of it is to be stored: the fold of the redacted entries. */
  state<State extends Partial<SessionView>>(state: State): State;
  value(value: Json): Json;
  text(text: string): string;
}

/** Something that the runtime saw, with whatever fields belong to it. */
export interface Observation {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly commandId?: string;
  readonly sessionId?: string;
  readonly [field: string]: unknown;
}

/** Where the runtime says what it sees. Never throws, never blocks. */
export interface Telemetry {
  /** False when nobody would look: callers on a hot path ask before they build an observation. */
  enabled(level: Observation['level']): boolean;
  observe(observation: Observation): void;
}

/** A refusal to open: names the file and the remedy in one line. No data was touched. */
export class JournalRefused extends Error {
  override readonly name = 'JournalRefused';
}

export type { JournalSize, LaneAnchor, LaneStore, StoredEntry };

/** Entries to be blanked: those that all the given fields fit. */
export interface BlankRange {
  /** Up to and including this offset. */
  readonly through: number;
  /** Of this journal lane. */
  readonly lane?: string;
  /** About this session; with a lane, in that lane. */
  readonly sessionId?: string;
  /** Entries that open a session stay whole: the session could not go on without its input. */
  readonly keepOpenings?: boolean;
}

/** What became of a `BlankRange`. */
export interface Blanked {
  /** Entries that were blanked now. */
  readonly entries: number;
  /** False while bytes of what was removed may still lie in a file, because another program reads it. */
  readonly erased: boolean;
}

/** What the entries of a lane up to and including the one at `offset` amount to, in the words of the runtime. */
export interface LaneSnapshot {
  readonly lane: string;
  readonly offset: number;
  readonly body: string;
}

/** What all entries up to and including the one at `offset` amount to: a header, and parts numbered from 1. */
export interface CheckpointHead {
  readonly offset: number;
  readonly header: string;
  readonly parts: number;
}

/**
 * What can be derived from entries and is kept beside them, so that nobody has to fold them again: the newest snapshot of
 * each lane, and the newest two checkpoints.
 *
 * - It is never ahead of the entries: who keeps something does so when the entries that it stands for are durable, and what is
 *   read stands for entries that are there.
 * - It is as it was kept, or it can't be had: damage rejects, and so does a snapshot of an entry that is not in its lane.
 * - It may be gone at any time; nothing is lost with it. That something could not be kept fails nothing else.
 */
export interface DerivedStore {
  /** Takes the place of the lane's older snapshot. Nobody waits for it; `failed` is called, later, when it could not be kept. */
  keepSnapshot(snapshot: LaneSnapshot, failed: (error: Error) => void): void;
  /** The lane's snapshot, if there is one. @throws when it is not fit for use. */
  snapshot(lane: string): Promise<LaneSnapshot | undefined>;
  /** Keeps a part of a checkpoint, which nobody finds before it is sealed. */
  keepPart(offset: number, part: number, bytes: Uint8Array): Promise<void>;
  /** The checkpoint is whole, and is found from now on. Of the others only the newest one stays. */
  sealCheckpoint(head: CheckpointHead): Promise<void>;
  /** Those that are sealed and stand for entries that are there, the newest first. */
  checkpoints(): Promise<readonly CheckpointHead[]>;
  /** @throws when it is not as it was kept. */
  checkpointPart(offset: number, part: number): Promise<Uint8Array>;
}

/** Where `open` found the journal's end. */
export interface JournalHead {
  /** Offset of the newest entry; 0 when empty. */
  readonly offset: number;
}

/** Why there is no backup: one line for people. What was there before is untouched, and nothing was left behind. */
export class BackupFailed extends Error {
  override readonly name = 'BackupFailed';
}

/** A copy of the journal that was verified and is in place. */
export interface JournalBackup {
  readonly path: string;
  readonly bytes: number;
  readonly entries: number;
  readonly lastOffset: number;
  /** Of the file, in hex. */
  readonly sha256: string;
  readonly tookMs: number;
}

/**
 * The journal.
 *
 * - *Order.* Batches are committed in the order of `append`; a batch is committed whole or not at all. `done` is called once
 *   per batch, in order, never from inside `append`.
 * - *Durability.* With `durability: 'durable'`, `done()` without an error means that the batch survives a crash of the
 *   process and of the machine. A `volatile` journal loses everything with the process.
 * - *Fencing.* A batch whose `offset` or `laneSeq` does not continue what is stored fails whole: a second writer can't slip in.
 * - *Failure.* After one failed batch every later one fails too, until the journal is opened again: nothing is ever
 *   committed behind a hole. Reads go on working as far as the disk does. What a batch that failed left behind is not known:
 *   it is committed whole or not at all.
 * - *Opening again*, with `open` on a journal that failed and was not closed: settles with the true head, which counts a batch
 *   that was committed although its answer was lost, clears the failure, and appends go on behind that head. Nobody else gets
 *   at the data in between. Rejected, it leaves the journal as it was: failed, and as readable as before. It may be tried
 *   again at any time; calls during one attempt share it.
 * - *Reading* sees committed entries only.
 * - *Blanking* replaces the content of entries by what names, orders and ends things (`entry-classes.ts`), for good: with
 *   `erased` no file has a byte of it left. Identity, order, outcome, fingerprint, hash and digest stay, and the chain goes on
 *   over it. What was blanked before is left alone. Snapshots of what is blanked go with it. It never fails appends.
 * - *Exclusive.* A second `open` on the same data, from any process, is refused until `close` or the end of the process.
 */
export interface Journal extends JournalReader, DerivedStore, LaneStore {
  readonly durability: 'durable' | 'volatile';
  /** Text for people: a path, or `memory`. */
  readonly location: string;
  /** @throws JournalRefused when in use, foreign, damaged, newer than this code, or not writable. */
  open(): Promise<JournalHead>;
  append(entries: readonly Entry[], done: (error?: Error) => void): void;
  /** laneSeq of the newest committed entry of a journal lane; 0 when there is none. */
  head(lane: string): Promise<number>;
  /** Removes what people and engines said from committed entries. Rejected, it may have done a part, and may be repeated. */
  blank(range: BlankRange): Promise<Blanked>;
  /**
   * Copies what is committed to a place of the journal's own, beside appends and questions, and verifies the copy before older ones
   * go. @throws BackupFailed, and JournalRefused when there is nothing that can be copied.
   */
  backup(at: number): Promise<JournalBackup>;
  /**
   * Where it may end by itself: calls `gone` when it answers nothing any more until it is opened again, and no append was under
   * way that says so.
   */
  watch?(gone: (error: Error) => void): void;
  /** Waits for appended batches, then releases the data. Idempotent. */
  close(): Promise<void>;
}

/** What an engine is asked to run. */
export interface TurnRequest {
  readonly sessionId: string;
  readonly commandId: string;
  /** The same for every try to run this attempt: an engine that honours it makes outside effects exactly once. */
  readonly effectId: string;
  /** From the prompt's handler: `{message, images?}`. */
  readonly input: Json;
  /** From `create_session.input`. */
  readonly sessionInput: Json;
  readonly cwd: string | null;
  /** 1 for the session's first turn. */
  readonly turn: number;
  /** What the session's clients have seen so far: the fold of message_end events. Not to be changed. */
  readonly messages: readonly Json[];
  /** Handle of the last finished turn, or null. */
  readonly resume: Json;
  /** Messages that came before the turn began, in order. */
  readonly steers: readonly Json[];
  readonly followUps: readonly Json[];
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** How a turn ended, as its engine tells it. */
export type TurnResult =
  | { readonly status: 'completed'; readonly resume?: Json }
  | {
      readonly status: 'failed';
      /** Whose fault: only `provider` and `timeout` speak against the engine. */
      readonly kind: 'provider' | 'user' | 'timeout';
      readonly message: string;
      readonly errorCode?: 'UNSUPPORTED' | 'ENGINE_UNAVAILABLE';
      readonly resume?: Json;
    };

/** A running turn, seen from the runtime. */
export interface TurnHandle {
  /** False when the turn is past the point where it could take the message: it then waits for the next turn. */
  steer(message: Json): boolean;
  followUp(message: Json): boolean;
  /**
   * Settles when the engine has let go: nothing of this turn runs any more. After an abort it still settles; its result then
   * only hands over a resume handle. A rejection is a bug of the engine (ENGINE_FAILED), never a crash.
   */
  readonly finished: Promise<TurnResult>;
}

/**
 * Runs turns.
 *
 * - `start` returns at once and never throws; events come through `emit`, in order, after it has returned and until
 *   `finished` settles. Events after the signal fired are ignored by the runtime, which closes the turn for its clients by
 *   itself.
 * - The grammar of events: agent_start (turn_start (message_start message_update* message_end | tool_execution_start
 *   tool_execution_update* tool_execution_end)* turn_end)* agent_end; tools of one turn may overlap. message_update carries
 *   `assistantMessageEvent {type, contentIndex, delta?}` alone; the runtime adds the partial message for clients that want it.
 * - An engine honours the signal soon: it stops calling out and settles `finished`.
 * - No state of an engine is needed to answer a client: what clients saw is the journal's.
 */
export interface Engine {
  readonly kind: string;
  readonly capabilities: readonly string[];
  /** Checks `create_session.input`; a text for people when it is wrong. Pure. */
  checkInput(input: Json): string | undefined;
  /**
   * True once a turn needs nothing more to be loaded. An engine with a heavy SDK loads it in `prepare`, which rejects with one
   * line that says what is missing and how to get it; a turn of a session that is older than the process does the same.
   */
  readonly ready: boolean;
  prepare(): Promise<void>;
  start(request: TurnRequest, emit: (event: SessionEvent) => void): TurnHandle;
  /** The session is gone: drop what is kept for it. */
  forget(sessionId: string): void;
  close(): Promise<void>;
}

/** Identity of a command as frames show it. */
export interface CommandRef {
  readonly commandId: string;
  readonly commandType: string;
  readonly sessionId: string | undefined;
  readonly dependsOn: readonly string[] | undefined;
  readonly ifSessionVersion: number | undefined;
  readonly idempotencyKey: string | undefined;
}

/**
 * What a client has to know of a response beside its outcome: it is the outcome of an earlier command of the same name
 * (`replayed`), it shows what was durable before the journal failed (`stale`), or what it did is not durable (`undurable`).
 */
export type ResponseMark = 'replayed' | 'stale' | 'undurable';

/** Writes frames as text: the wire's side of the runtime. Pure. */
export interface Frames {
  accepted(command: CommandRef): string;
  started(command: CommandRef): string;
  finished(command: CommandRef, outcome: Outcome, sessionVersion: number | undefined, replayed: boolean): string;
  response(
    commandType: string,
    id: unknown,
    outcome: Outcome,
    sessionVersion: number | undefined,
    mark?: ResponseMark,
  ): string;
  event(sessionId: string, epoch: string, seq: number, event: SessionEvent, ephemeral: boolean): string;
  /** Every other frame: `{type, data}`. */
  notice(type: string, data: Json): string;
}

/** The client of a transport that can ask it for signs of life. */
export interface Pulse {
  /** Asks; the answer comes as `Peer.ponged`. */
  ping(): void;
  /** Any figure that changes when the client takes or gives bytes. */
  readonly progress: number;
  /** Calls back once what has come in by now is read: a process that was blocked or asleep runs its timers first. */
  whenRead(callback: () => void): void;
}

/** The outgoing side of a transport. */
export interface Outlet {
  /** Bytes accepted and not yet taken by the peer. */
  readonly bufferedBytes: number;
  /** Frames of one tick leave in one write. Never throws; after `close` it does nothing. */
  write(text: string): void;
  /**
   * Calls back once the peer has taken what was written so far, for all that the transport can tell: not from inside the call,
   * and not at all when the peer is gone before.
   */
  whenTaken(callback: () => void): void;
  close(code: number, reason: string): void;
  /** Absent where the transport knows by itself that its client is gone. */
  readonly pulse?: Pulse;
}

/** A frame that is a valid command of a known type. */
export interface ParsedCommand {
  readonly contract: CommandContract;
  readonly frame: CommandFrame;
  /** As received: what the journal keeps and what the fingerprint is taken from. */
  readonly text: string;
}

/** A frame that is none: what the response has to say. */
export interface RefusedFrame {
  readonly refusal: Failure;
  /** The command's type as far as it could be read, else `unknown`. */
  readonly commandType: string;
  /** The id exactly as sent, whatever it was. */
  readonly id?: unknown;
}

/**
 * Size, JSON, shape, schema and authorization, in this order. Never throws, whatever the bytes are.
 */
export interface Intake {
  parse(bytes: Uint8Array, principal: Principal): ParsedCommand | RefusedFrame;
}

/** A connected client, as its transport sees it. */
export interface Peer {
  readonly connectionId: string;
  /** One frame, whole. Frames that come before the greeting was sent are kept in order. */
  receive(bytes: Uint8Array): void;
  /** A pong came, also one that nobody asked for. */
  ponged(): void;
  /** The transport is gone, for whatever reason. Idempotent. */
  closed(): void;
}

/** Where transports bring their clients. */
export interface Reception {
  /** Greets the client. `undefined`: refused, and the outlet was told to close with a code that says why. */
  connect(outlet: Outlet, principal: Principal, transport: string): Peer | undefined;
}
