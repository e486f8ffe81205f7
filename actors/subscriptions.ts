/**
 * Who gets to see what: the lifecycle of commands, sessions coming and going, the events of a session.
 *
 * Targets are looked up when a frame is released, not when it is made: an attach takes effect at its place in the release
 * queue, so its client sees everything after its snapshot and nothing twice. State: volatile.
 */
import { CatchUp, tellGap, tellSynced } from './catch-up.ts';
import type { CatchUpPorts, GapReason } from './catch-up.ts';
import type { Connection } from './connection.ts';
import type { After, AttachRole, Cursor, DeltaMode } from './message.ts';
import type { Frames, Journal, Telemetry } from './ports.ts';
import { ReadTurns } from './read-turns.ts';

/** The text of one event for each way of wanting it; made when the first client wants it, then shared. */
export interface EventFrame {
  readonly ephemeral: boolean;
  readonly seq: number;
  readonly epoch: string;
  text(deltas: DeltaMode): string;
}

/** How a connection wants to see a session. */
export interface Wish {
  readonly after: After;
  readonly deltas: DeltaMode;
  readonly role?: AttachRole;
}

interface Viewer {
  readonly deltas: DeltaMode;
  /** As it said; whoever said none may still answer what its scopes allow. */
  readonly role: AttachRole | undefined;
  /** Not there once it sees what happens now. */
  catchUp: CatchUp | undefined;
}

/** Those who are attached to a session, and how far its durable events became visible. */
interface Viewers {
  readonly connections: Map<Connection, Viewer>;
  shownSeq: number;
  epoch: string;
}

/** Where the events of a session stand. */
export interface Place {
  readonly epoch: string;
  readonly seq: number;
  /** The entry that opened the session. */
  readonly openedOffset: number;
  /** Nothing behind it was recorded then. */
  readonly lastOffset: number;
}

interface SubscriptionPorts {
  readonly frames: Frames;
  readonly journal: Journal;
  readonly telemetry: Telemetry;
}

export class Subscriptions {
  readonly #sessions = new Map<string, Viewers>();
  /** Connections that see the lifecycle of everybody's commands. */
  readonly lifecycle = new Set<Connection>();
  readonly sessionTopic = new Set<Connection>();
  readonly #telemetry: Telemetry;
  readonly #catchUpPorts: CatchUpPorts;

  constructor({ frames, journal, telemetry }: SubscriptionPorts, outgoingBytesMax: number) {
    this.#telemetry = telemetry;
    this.#catchUpPorts = { frames, journal, turns: new ReadTurns(), outgoingBytesMax };
  }

  /** Sessions that someone is attached to. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Attachments, and those of them that are still shown what they missed. Counted when somebody asks. */
  count(): { viewers: number; catchUps: number } {
    let viewers = 0;
    let catchUps = 0;
    for (const { connections } of this.#sessions.values()) {
      viewers += connections.size;
      for (const { catchUp } of connections.values()) if (catchUp !== undefined) catchUps += 1;
    }
    return { viewers, catchUps };
  }

  /** Someone is attached to the session. */
  isWatched(sessionId: string): boolean {
    return this.#sessions.has(sessionId);
  }

  /** The part that a connection takes in a session. */
  roleOf(sessionId: string, connection: Connection): AttachRole | undefined {
    return this.#sessions.get(sessionId)?.connections.get(connection)?.role;
  }

  /** `place`: where the snapshot stands that the client attaches with. It is told what it missed, and where it is live. */
  attach(sessionId: string, connection: Connection, { after, deltas, role }: Wish, place: Place): void {
    const { epoch, seq } = place;
    let viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) {
      viewers = { connections: new Map(), shownSeq: seq, epoch };
      this.#sessions.set(sessionId, viewers);
    }
    viewers.shownSeq = seq;
    viewers.epoch = epoch;
    viewers.connections.get(connection)?.catchUp?.stop();
    const viewer: Viewer = { deltas, role, catchUp: undefined };
    viewers.connections.set(connection, viewer);
    connection.attached.add(sessionId);

    const where = { sessionId, epoch, watermark: seq };
    const start = startOf(after, place);
    if (typeof start === 'number' && start < seq) {
      const stretch = { ...where, openedOffset: place.openedOffset, lastOffset: place.lastOffset, seen: start };
      viewer.catchUp = new CatchUp(this.#catchUpPorts, connection, stretch, (error) => {
        if (error === undefined) viewer.catchUp = undefined;
        else this.#broken(sessionId, connection, error);
      });
      viewer.catchUp.begin();
      return;
    }
    const { frames } = this.#catchUpPorts;
    if (typeof start === 'string') tellGap(frames, connection, where, 1, seq, start);
    tellSynced(frames, connection, where);
  }

  /** It could not be shown what it missed. */
  #broken(sessionId: string, connection: Connection, error: unknown): void {
    this.#telemetry.observe({ level: 'warn', message: 'a viewer did not catch up', sessionId, error: String(error) });
    this.#fallBehind(sessionId, connection, undefined);
  }

  /** Its events stop. `shown`: the last one that it was shown, unless it is still catching up. */
  #fallBehind(sessionId: string, connection: Connection, shown: number | undefined): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    const seq = viewers.connections.get(connection)?.catchUp?.seen ?? shown ?? viewers.shownSeq;
    this.detach(sessionId, connection);
    connection.sendLagging(sessionId, viewers.epoch, seq);
  }

  /** An attach that was reserved and never took effect. */
  forfeit(sessionId: string, connection: Connection): void {
    if (this.#sessions.get(sessionId)?.connections.has(connection) !== true) connection.attached.delete(sessionId);
  }

  detach(sessionId: string, connection: Connection): void {
    connection.attached.delete(sessionId);
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    viewers.connections.get(connection)?.catchUp?.stop();
    viewers.connections.delete(connection);
    if (viewers.connections.size === 0) this.#sessions.delete(sessionId);
  }

  /** The session is gone: nobody sees it any more. Who has not seen its end yet is told how far it got. */
  drop(sessionId: string): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    for (const [connection, { catchUp }] of viewers.connections) {
      if (catchUp === undefined) this.detach(sessionId, connection);
      else this.#fallBehind(sessionId, connection, undefined);
    }
  }

  leave(connection: Connection): void {
    for (const sessionId of connection.attached) this.detach(sessionId, connection);
    this.lifecycle.delete(connection);
    this.sessionTopic.delete(connection);
  }

  /**
   * Sessions were folded again. What became durable and was not shown, because the journal failed before it could say so, is
   * shown by nobody any more: those who watch are told where they fell behind.
   */
  reconcileAll(placeOf: (sessionId: string) => Cursor | undefined): void {
    for (const sessionId of [...this.#sessions.keys()]) this.reconcile(sessionId, placeOf(sessionId));
  }

  /** The same for one session; undefined: it is gone. */
  reconcile(sessionId: string, place: Cursor | undefined): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    if (viewers.epoch === place?.epoch && viewers.shownSeq === place.seq) return;
    if (place === undefined) return this.drop(sessionId);
    for (const connection of viewers.connections.keys()) this.#fallBehind(sessionId, connection, undefined);
  }

  /** Shows an event to those attached; who can't keep up is told where it fell behind, and is detached. */
  publish(sessionId: string, frame: EventFrame): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    for (const [connection, { deltas, catchUp }] of viewers.connections) {
      if (frame.ephemeral && deltas === 'none') continue;
      const text = frame.text(deltas);
      const shown =
        catchUp === undefined
          ? connection.sendEvent(text)
          : catchUp.hold(text, frame.ephemeral ? undefined : frame.seq);
      if (!shown) this.#fallBehind(sessionId, connection, frame.ephemeral ? frame.seq : frame.seq - 1);
    }
    if (!frame.ephemeral) viewers.shownSeq = frame.seq;
  }

  announceLifecycle(text: string, origin: Connection | null): void {
    for (const connection of this.lifecycle) connection.sendNotice(text);
    if (origin !== null && origin.ownLifecycle && !this.lifecycle.has(origin)) origin.sendNotice(text);
  }

  announceSession(text: string): void {
    for (const connection of this.sessionTopic) connection.sendNotice(text);
  }
}

/** The last durable event that the client has seen, or why that can't be gone on from. */
function startOf(after: After, { epoch, seq }: Place): number | GapReason {
  if (after === 'live') return seq;
  if (after === 'start') return 0;
  if (after.epoch !== epoch) return 'foreign_epoch';
  return after.seq > seq ? 'beyond_head' : after.seq;
}
