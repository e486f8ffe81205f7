/**
 * Who gets to see what: the lifecycle of commands, sessions coming and going, the events of a session.
 *
 * Targets are looked up when a frame is released, not when it is made: an attach takes effect at its place in the release
 * queue, so its client sees everything after its snapshot and nothing twice. State: volatile.
 */
import type { Connection } from './connection.ts';
import type { DeltaMode } from './message.ts';

/** The text of one event for each way of wanting it; made when the first client wants it, then shared. */
export interface EventFrame {
  readonly ephemeral: boolean;
  readonly seq: number;
  readonly epoch: string;
  text(deltas: DeltaMode): string;
}

/** Those who are attached to a session, and how far its durable events were shown to them. */
interface Viewers {
  readonly connections: Map<Connection, DeltaMode>;
  shownSeq: number;
  epoch: string;
}

/** Where the events of a session stand. */
interface Place {
  readonly epoch: string;
  readonly seq: number;
}

export class Subscriptions {
  readonly #sessions = new Map<string, Viewers>();
  /** Connections that see the lifecycle of everybody's commands. */
  readonly lifecycle = new Set<Connection>();
  readonly sessionTopic = new Set<Connection>();

  /** Sessions that someone is attached to. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Someone is attached to the session. */
  isWatched(sessionId: string): boolean {
    return this.#sessions.has(sessionId);
  }

  /** `seq`: the last durable event that the client has seen, in the snapshot that it attaches with. */
  attach(sessionId: string, connection: Connection, deltas: DeltaMode, { epoch, seq }: Place): void {
    let viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) {
      viewers = { connections: new Map(), shownSeq: seq, epoch };
      this.#sessions.set(sessionId, viewers);
    }
    viewers.shownSeq = seq;
    viewers.epoch = epoch;
    viewers.connections.set(connection, deltas);
    connection.attached.add(sessionId);
  }

  /** An attach that was reserved and never took effect. */
  forfeit(sessionId: string, connection: Connection): void {
    if (this.#sessions.get(sessionId)?.connections.has(connection) !== true) connection.attached.delete(sessionId);
  }

  detach(sessionId: string, connection: Connection): void {
    connection.attached.delete(sessionId);
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    viewers.connections.delete(connection);
    if (viewers.connections.size === 0) this.#sessions.delete(sessionId);
  }

  /** The session is gone: nobody sees it any more. */
  drop(sessionId: string): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    for (const connection of viewers.connections.keys()) connection.attached.delete(sessionId);
    this.#sessions.delete(sessionId);
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
  reconcileAll(placeOf: (sessionId: string) => Place | undefined): void {
    for (const sessionId of [...this.#sessions.keys()]) this.reconcile(sessionId, placeOf(sessionId));
  }

  /** The same for one session; undefined: it is gone. */
  reconcile(sessionId: string, place: Place | undefined): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    if (viewers.epoch === place?.epoch && viewers.shownSeq === place.seq) return;
    this.drop(sessionId);
    if (place === undefined) return;
    for (const connection of viewers.connections.keys()) {
      connection.sendLagging(sessionId, viewers.epoch, viewers.shownSeq);
    }
  }

  /** Shows an event to those attached; who can't keep up is told where it fell behind, and is detached. */
  publish(sessionId: string, frame: EventFrame): void {
    const viewers = this.#sessions.get(sessionId);
    if (viewers === undefined) return;
    for (const [connection, deltas] of viewers.connections) {
      if (frame.ephemeral && deltas === 'none') continue;
      if (connection.sendEvent(frame.text(deltas))) continue;
      this.detach(sessionId, connection);
      connection.sendLagging(sessionId, frame.epoch, frame.ephemeral ? frame.seq : frame.seq - 1);
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
