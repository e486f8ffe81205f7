/**
 * The HTTP listener that transports are attached to, and what it answers to plain requests.
 *
 * Its limits end slow and silent connections before they cost anything: headers and requests have a deadline, and their size a
 * maximum. A socket that has not asked for a WebSocket yet has a place among so many of them, and when these are taken the
 * oldest loses its own: one that comes to talk does so within milliseconds, so whoever opens sockets and says nothing shuts
 * out himself alone. State: volatile.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { accessProblem, type IsOwnHost } from './access.ts';
import type { ErrorCode } from '../protocol/errors.ts';

/** Limits, and under which names the listener may be asked. */
export interface HttpOptions {
  readonly connectionsMax: number;
  /** Until the head of a request is there; 10 s unless given. */
  readonly headersTimeoutMs?: number;
  readonly isOwnHost: IsOwnHost;
}

/** An answer to a request that no transport takes. */
export interface HttpRefusal {
  readonly status: 403 | 404 | 426 | 503;
  readonly errorCode: ErrorCode;
  readonly error: string;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 20_000;
/** How often deadlines are looked at, as a share of the shortest. */
const TIMEOUT_CHECKS = 5;
/**
 * Connections that the operating system holds until they are accepted. With Node's 511 a burst of a few hundred more made
 * everybody who came then wait for a second, until his packet was sent again.
 */
export const ACCEPT_BACKLOG = 4_096;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** Sockets that say nothing, beside as many as there may be clients: all of these may come at once. */
const SPARE_SOCKETS = 64;

/** Makes a listener that refuses plain requests in a sentence; transports take its upgrades. */
export function createHttpListener(options: HttpOptions): Server {
  const { connectionsMax, headersTimeoutMs = HEADERS_TIMEOUT_MS, isOwnHost } = options;
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headersTimeoutMs),
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / TIMEOUT_CHECKS),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  });
  keepPlaces(server, connectionsMax + SPARE_SOCKETS);
  server.on('request', (request, response) => {
    const refusal = refusalOf(request, isOwnHost) ?? upgradeRequired(server);
    const { headers, body } = refusalMessage(refusal);
    response.writeHead(refusal.status, headers).end(request.method === 'HEAD' ? undefined : body);
  });
  return server;
}

/** Bounds the sockets that are no WebSocket: the oldest makes room for the newest. */
function keepPlaces(server: Server, socketsMax: number): void {
  const waiting = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    if (waiting.size <= socketsMax) return;
    const [oldest] = waiting;
    if (oldest === undefined) return;
    waiting.delete(oldest);
    oldest.destroy();
  });
  server.on('upgrade', ({ socket }) => waiting.delete(socket));
}

/** Why a request may not come in at all, whatever it asks for. */
export function refusalOf(request: IncomingMessage, isOwnHost: IsOwnHost): HttpRefusal | undefined {
  const problem = accessProblem(request.headers, isOwnHost);
  if (problem !== undefined) return { status: 403, errorCode: 'FORBIDDEN', error: problem };
  const path = pathOf(request);
  if (path === '/' || path === '/ws') return undefined;
  return { status: 404, errorCode: 'UNSUPPORTED', error: 'There is nothing here: the WebSocket is at / and at /ws' };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

export function upgradeRequired(server: Server): HttpRefusal {
  const url = urlOf(server.address() as AddressInfo | null, 'ws');
  return { status: 426, errorCode: 'UNSUPPORTED', error: `This address speaks WebSocket: connect a client to ${url}` };
}

/** Head and body of a refusal, the same on a response and on the raw socket of an upgrade. */
function refusalMessage({ status, errorCode, error }: HttpRefusal): {
  headers: Record<string, string>;
  body: string;
} {
  const body = `${JSON.stringify({ success: false, errorCode, error })}\n`;
  const headers = {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...(status === 426 ? { Upgrade: 'websocket', Connection: 'Upgrade, close' } : { Connection: 'close' }),
  };
  return { headers, body };
}

/** A refusal as bytes for a socket whose request asked for an upgrade. */
export function refusalText(refusal: HttpRefusal): string {
  const { headers, body } = refusalMessage(refusal);
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${head.join('')}\r\n${body}`;
}

/** How people and programs reach a listening server. */
export function urlOf(address: AddressInfo | null, scheme: 'http' | 'ws'): string {
  if (address === null) return `${scheme}://`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}`;
}
