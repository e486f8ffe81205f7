/**
 * WebSocket clients: accepts upgrades on an HTTP listener and brings them to the runtime.
 *
 * Checked before the handshake: Host, Origin and path; right after it, because only a WebSocket can be told why: the number
 * of connections. What all of them together have begun to send and not finished has a maximum too. State: volatile.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Principal } from '../../actors/message.ts';
import type { Clock, Reception, Telemetry } from '../../actors/ports.ts';
import { closeCodes } from '../protocol/close-codes.ts';
import type { IsOwnHost } from './access.ts';
import { refusalOf, refusalText, upgradeRequired, type HttpRefusal } from './http.ts';
import { Unfinished } from './unfinished.ts';
import { Turnstile } from './turnstile.ts';
import { CLOSE_TIMEOUT_MS, WebSocketConnection } from './websocket-connection.ts';

// What it is attached to, and the shapes that its options have.
export { createHttpListener } from './http.ts';
export type { HttpOptions } from './http.ts';
export type { IsOwnHost } from './access.ts';

/** What the transport needs of the runtime. */
export interface WebSocketPorts {
  readonly reception: Reception;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Limits, and who may come in. */
export interface WebSocketOptions {
  readonly frameBytesMax: number;
  readonly connectionsMax: number;
  /** Bytes of frames that have begun and not ended, over all connections; what `UNFINISHED_BYTES_MIN` says unless given. */
  readonly unfinishedBytesMax?: number;
  readonly isOwnHost: IsOwnHost;
  /** Who every client is, as long as there is no authentication. */
  readonly principal: Principal;
}

/** A transport that takes clients until it is stopped. */
export interface WebSocketTransport {
  /** Accepts nobody any more, says 1001 to those who are there, and waits until all are gone. */
  stop(): Promise<void>;
}

const EXCESS_BYTES_MIN = 64 * 1024;
/** Two of the largest frames always find room, and a dozen of them unless they are larger than by default. */
const UNFINISHED_BYTES_MIN = 256 * 1024 * 1024;
/** A frame in smaller pieces than this on average costs more to keep than it holds. */
const PIECE_BYTES_MIN = 1024;
const PIECES_MIN = 1024;
/** Those over the limit that are being told so; one more is refused without a handshake. */
const SURPLUS_MAX = 64;

/** Takes the upgrades of an HTTP listener and brings their clients to the runtime. */
export function createWebSocketTransport(
  server: Server,
  { reception, clock, telemetry }: WebSocketPorts,
  options: WebSocketOptions,
): WebSocketTransport {
  const connections = new Set<WebSocketConnection>();
  /** Those over the limit, while they are being told. */
  const surplus = new Set<WebSocketConnection>();
  const ports = { clock, telemetry, turnstile: new Turnstile() };
  let stopping = false;

  // A frame that is a little too large is taken in and refused with a code; only one far beyond the limit costs the client its
  // connection (1009), because nothing of it is worth the memory.
  const maxPayload = options.frameBytesMax + Math.max(options.frameBytesMax, EXCESS_BYTES_MIN);
  const piecesMax = Math.max(PIECES_MIN, Math.ceil(maxPayload / PIECE_BYTES_MIN));
  const unfinished = new Unfinished<WebSocketConnection>(
    options.unfinishedBytesMax ?? Math.max(UNFINISHED_BYTES_MIN, 2 * maxPayload),
  );
  const limitReached = `Connection limit reached (${options.connectionsMax} connections)`;
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload,
    maxFragments: piecesMax,
    maxBufferedChunks: piecesMax,
    // It would answer every ping, and keep the answers of one who does not read; `Outgoing` answers the newest.
    autoPong: false,
    // For closes that the client or a malformed frame began. Spread, because the types of `ws` do not know it yet.
    ...{ closeTimeout: CLOSE_TIMEOUT_MS },
  });

  server.on('upgrade', (request, socket, head) => {
    const refusal = upgradeRefusal(request);
    if (refusal !== undefined) return refuse(request, socket, refusal);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new WebSocketConnection(webSocket, request.socket, unfinished, ports);
      const group = connections.size < options.connectionsMax ? connections : surplus;
      group.add(connection);
      void connection.gone.then(() => group.delete(connection));
      if (group === connections) connection.introduce(reception, options.principal);
      else connection.close(closeCodes.tryAgainLater, limitReached);
    });
  });

  function upgradeRefusal(request: IncomingMessage): HttpRefusal | undefined {
    const refusal = refusalOf(request, options.isOwnHost);
    if (refusal !== undefined) return refusal;
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') return upgradeRequired(server);
    if (surplus.size >= SURPLUS_MAX) return { status: 503, errorCode: 'RATE_LIMITED', error: limitReached };
    if (stopping) return { status: 503, errorCode: 'SHUTTING_DOWN', error: 'The server is shutting down' };
    return undefined;
  }

  function refuse(request: IncomingMessage, socket: Duplex, refusal: HttpRefusal): void {
    const { errorCode, error } = refusal;
    telemetry.observe({
      level: 'warn',
      message: 'upgrade refused',
      errorCode,
      error,
      from: request.socket.remoteAddress,
    });
    socket.on('error', () => socket.destroy());
    socket.once('finish', () => socket.destroy());
    socket.end(refusalText(refusal));
  }

  return {
    async stop() {
      stopping = true;
      const all = [...connections, ...surplus];
      for (const connection of all) connection.close(closeCodes.goingAway, 'going away');
      await Promise.all(all.map(({ gone }) => gone));
    },
  };
}
