/**
 * One WebSocket client, from the handshake to the end of its socket.
 *
 * Text and binary frames mean the same. Fragments and malformed frames are the business of `ws`. Whatever the client or the
 * network does, it ends at most this connection. State: volatile.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Principal } from '../../actors/message.ts';
import type { Clock, Outlet, Peer, Pulse, Reception, Telemetry } from '../../actors/ports.ts';
import { closeCodes } from '../protocol/close-codes.ts';
import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';
import type { Turnstile } from './turnstile.ts';
import type { Unfinished } from './unfinished.ts';

/** How long a client has to answer a close frame before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 3_000;
/** What a client's control frame has beside its payload: two bytes and a mask. */
const CONTROL_HEAD_BYTES = 6;
/** Longest reason that fits into a close frame; `ws` throws at a longer one. */
const REASON_BYTES_MAX = 123;

/** What the connections of a listener share. */
export interface ConnectionPorts {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly turnstile: Turnstile;
}

export class WebSocketConnection implements Outlet, Pulse {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  readonly #unfinished: Unfinished<WebSocketConnection>;
  /** Settles when the socket is closed. */
  readonly gone: Promise<void>;
  #closing = false;
  #closeTimer: unknown;
  #peer: Peer | undefined;
  /** In the chunk that is being read: whether a frame ended, and bytes of control frames. */
  #finished = false;
  #controlBytes = 0;

  constructor(
    webSocket: WebSocket,
    socket: Socket,
    unfinished: Unfinished<WebSocketConnection>,
    { clock, telemetry, turnstile }: ConnectionPorts,
  ) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#unfinished = unfinished;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#incoming = new Incoming(turnstile, webSocket, (frame) => {
      if (!this.#closing) this.#guarded(() => this.#peer?.receive(frame));
    });
    this.#outgoing = new Outgoing(socket, () => webSocket.readyState === webSocket.OPEN);
    webSocket.on('error', (error) => {
      telemetry.observe({ level: 'info', message: 'connection broken', error: error.message });
    });
    // With the default `binaryType` every message is one Buffer, a fragmented one too.
    webSocket.on('message', (data) => this.#receive(data as Buffer));
    webSocket.on('ping', (payload) => {
      this.#controlBytes += payload.length + CONTROL_HEAD_BYTES;
      this.#outgoing.pong(payload);
    });
    webSocket.on('pong', (payload) => {
      this.#controlBytes += payload.length + CONTROL_HEAD_BYTES;
      this.#guarded(() => this.#peer?.ponged());
    });
    // Behind the listener of `ws`: when it is called, the chunk has been read.
    socket.on('data', (chunk: Buffer) => this.#count(chunk.length));
    this.gone = new Promise((resolve) => {
      webSocket.once('close', () => {
        // What came before the end counts, whoever waits for the answer.
        this.#incoming.end();
        this.#closing = true;
        unfinished.finish(this);
        clock.clearTimeout(this.#closeTimer);
        this.#guarded(() => this.#peer?.closed());
        resolve();
      });
    });
  }

  get bufferedBytes(): number {
    return this.#outgoing.bufferedBytes;
  }

  get pulse(): Pulse {
    return this;
  }

  write(text: string): void {
    if (!this.#closing) this.#outgoing.write(text);
  }

  whenTaken(callback: () => void): void {
    if (!this.#closing) this.#outgoing.whenTaken(() => this.#guarded(callback));
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    // Nothing more is taken, and a socket that was not read from is again: the client's close frame has to come through.
    this.#incoming.end();
    this.#unfinished.finish(this);
    this.#telemetry.observe({ level: 'info', message: 'connection closed', code, reason });
    this.#outgoing.flush();
    this.#closeTimer = this.#clock.setTimeout(() => this.#webSocket.terminate(), CLOSE_TIMEOUT_MS);
    this.#webSocket.close(code, shortened(reason));
  }

  /** Brings the client to the runtime, and the runtime's frames to the client from then on. */
  introduce(reception: Reception, principal: Principal): void {
    this.#guarded(() => {
      this.#peer = reception.connect(this, principal, 'websocket');
    });
  }

  #receive(bytes: Buffer): void {
    this.#finished = true;
    if (!this.#closing) this.#incoming.add(bytes);
  }

  /** A chunk that ended a frame leaves at most the rest of itself. */
  #count(chunkBytes: number): void {
    const bytes = chunkBytes - this.#controlBytes;
    this.#controlBytes = 0;
    if (this.#finished) {
      this.#finished = false;
      this.#unfinished.finish(this);
    } else if (bytes !== 0 && this.#webSocket.readyState === this.#webSocket.OPEN) {
      const oldest = this.#unfinished.add(this, bytes);
      oldest?.close(closeCodes.tryAgainLater, 'Too many unfinished frames, and this one was the oldest');
    }
  }

  ping(): void {
    this.#webSocket.ping();
  }

  /**
   * What the peer has given, and as long as something waits for it, what it has taken. Only then: what the operating system
   * takes off an empty queue is no sign of a peer.
   */
  get progress(): number {
    const { bytesRead, bytesWritten, writableLength } = this.#socket;
    return writableLength === 0 ? bytesRead : bytesRead + bytesWritten - writableLength;
  }

  whenRead(callback: () => void): void {
    this.#clock.defer(callback);
  }

  /** A defect behind the port costs this client its connection, and nobody else anything. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#telemetry.observe({ level: 'error', message: 'a defect broke a connection', error });
      this.close(closeCodes.internalError, 'Internal error');
    }
  }
}

/** Cut to what a close frame carries, between two characters. */
function shortened(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= REASON_BYTES_MAX) return reason;
  // A decoder that waits for more swallows the character that was cut in two.
  return new TextDecoder().decode(bytes.subarray(0, REASON_BYTES_MAX), { stream: true });
}
