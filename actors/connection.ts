/**
 * A connected client: takes its frames in, writes frames out, and keeps it from costing more than its share.
 *
 * The chart decides whether events flow; the bytes that wait in the transport drive it. Responses go on when events have
 * stopped, and a client that does not even take those is closed. A client that its transport can ping has a heartbeat beside it,
 * a chart of its own whose last word is an event of the connection's. State: volatile.
 */
import type { Actor } from 'xstate';
import { connectionMachine, type ConnectionEvent } from '../machines/connection.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Host } from './host.ts';
import type { Limits } from './limits.ts';
import type { Json, Principal } from './message.ts';
import type { Frames, Outlet, Peer } from './ports.ts';

/** What a connection asks of the runtime. */
export interface ConnectionOwner {
  readonly host: Host;
  readonly frames: Frames;
  readonly limits: Limits;
  greeting(connection: Connection): readonly string[];
  receive(connection: Connection, bytes: Uint8Array): void;
  left(connection: Connection): void;
}

/** RFC 6455 close codes that the runtime uses by itself. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;
const CLOSES = {
  goingAway: { code: GOING_AWAY, text: 'Server shutting down' },
  tooSlow: { code: TRY_AGAIN_LATER, text: 'Too slow: responses were not taken. Connect again.' },
  silent: { code: GOING_AWAY, text: 'Heartbeat timeout' },
} as const;

export class Connection implements Peer {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly transport: string;
  /** Ids of the sessions whose events it sees. */
  readonly attached = new Set<string>();
  /** Sees the lifecycle of its own commands, whatever others see. */
  ownLifecycle = false;
  /** Commands admitted and not answered, control apart. */
  pending = 0;
  /** Batch that its newest held frame waits for: a later frame never overtakes it. */
  heldUntil = 0;
  /** The queue that numbered that batch: another one counts anew. */
  heldBy: object | undefined;
  readonly #owner: ConnectionOwner;
  readonly #outlet: Outlet;
  readonly #actor: Actor<typeof connectionMachine>;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #phase: 'greeting' | 'open' | 'closed' = 'greeting';
  #lagging = false;

  constructor(owner: ConnectionOwner, connectionId: string, outlet: Outlet, principal: Principal, transport: string) {
    this.#owner = owner;
    this.connectionId = connectionId;
    this.#outlet = outlet;
    this.principal = principal;
    this.transport = transport;
    this.#actor = owner.host.start(connectionMachine, `connection:${connectionId}`, undefined);
    const { pulse } = outlet;
    if (pulse === undefined) return;
    const lost = (): void => this.#tell({ type: 'heartbeat.lost' });
    this.#heartbeat = new Heartbeat(owner.host, connectionId, owner.limits, pulse, lost);
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Greets the client; what it sent meanwhile is taken in order. */
  open(): void {
    this.#tell({ type: 'server.ready' });
  }

  /** The server drains: the transport is told to close. */
  dismiss(): void {
    this.#tell({ type: 'server.drained' });
  }

  receive(bytes: Uint8Array): void {
    if (this.#phase === 'open') {
      this.#owner.receive(this, bytes);
      return;
    }
    if (this.#phase === 'closed') return;
    this.#early.push(bytes);
    this.#earlyBytes += bytes.byteLength;
    const { pendingMax, outgoingBytesMax } = this.#owner.limits;
    if (this.#early.length > pendingMax || this.#earlyBytes > outgoingBytesMax) {
      this.#outlet.close(TRY_AGAIN_LATER, 'too many frames before the greeting');
      this.closed();
    }
  }

  ponged(): void {
    this.#heartbeat?.ponged();
  }

  closed(): void {
    this.#tell({ type: 'transport.closed' });
  }

  sendResponse(text: string): void {
    if (this.#phase !== 'open') return;
    this.#outlet.write(text);
    const waiting = this.#outlet.bufferedBytes;
    if (waiting > this.#owner.limits.outgoingBytesMax) this.#congested(waiting);
  }

  /** Frames that can be missed: they stop while the client lags. */
  sendNotice(text: string): void {
    this.sendEvent(text);
  }

  /** False when the client lags, and the event was not sent. */
  sendEvent(text: string): boolean {
    if (this.#phase !== 'open') return true;
    const waiting = this.#outlet.bufferedBytes;
    const { outgoingBytesMax } = this.#owner.limits;
    if (this.#lagging && waiting * 2 <= outgoingBytesMax) this.#tell({ type: 'queue.drained' });
    else if (waiting > outgoingBytesMax) this.#congested(waiting);
    if (this.#lagging) return false;
    this.#outlet.write(text);
    return true;
  }

  /** Bytes that its client has not taken. */
  get waitingBytes(): number {
    return this.#outlet.bufferedBytes;
  }

  /** Settles once its client has taken what waits now; never if it is gone before. */
  taken(): Promise<void> {
    return new Promise((resolve) => this.#outlet.whenTaken(resolve));
  }

  /** Tells the client where it fell behind in a session: it attaches again after `seq`. */
  sendLagging(sessionId: string, epoch: string, seq: number): void {
    const data: Json = { sessionId, epoch, seq };
    this.sendResponse(this.#owner.frames.notice('session_lagging', data));
  }

  #congested(waiting: number): void {
    if (!this.#lagging) this.#tell({ type: 'queue.exceeded' });
    if (waiting > this.#owner.limits.outgoingBytesCloseMax) this.#tell({ type: 'queue.overrun' });
  }

  #tell(event: ConnectionEvent): void {
    if (this.#actor.getSnapshot().status !== 'active') return;
    const intents = this.#owner.host.collect(() => this.#actor.send(event));
    this.#lagging = this.#actor.getSnapshot().matches({ open: 'lagging' });
    for (const { type, params } of intents) this.#perform(type, params);
  }

  #perform(type: string, params: unknown): void {
    switch (type) {
      case 'sendGreeting': {
        this.#phase = 'open';
        for (const text of this.#owner.greeting(this)) this.#outlet.write(text);
        const early = this.#early.splice(0);
        this.#earlyBytes = 0;
        for (const bytes of early) this.receive(bytes);
        return;
      }
      case 'closeTransport': {
        this.#phase = 'closed';
        this.#heartbeat?.stop();
        const { code, text } = CLOSES[(params as { reason: keyof typeof CLOSES }).reason];
        this.#outlet.close(code, text);
        return;
      }
      case 'forgetConnection':
        this.#phase = 'closed';
        this.#early.length = 0;
        this.#heartbeat?.stop();
        this.#owner.host.stop(this.#actor);
        this.#owner.left(this);
        return;
      default:
        throw new Error(`A connection does not know how to perform '${type}'.`);
    }
  }
}
