/**
 * The HTTP listener that transports are attached to, and what it answers to plain requests.
 *
 * Its limits end slow and silent connections before they cost anything: headers and requests have a deadline, and their size a
 * maximum. Host and Origin are checked before any route. State: volatile.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { accessProblem, type IsOwnHost } from './access.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { HttpRoute } from './event-routes.ts';
import { HttpPlaces } from './http-places.ts';

/** Limits, and under which names the listener may be asked. */
export interface HttpOptions {
  readonly connectionsMax: number;
  /** Until the head of a request is there; 10 s unless given. */
  readonly headersTimeoutMs?: number;
  readonly isOwnHost: IsOwnHost;
  /** What takes requests that ask for no upgrade, in this order. */
  readonly routes?: readonly HttpRoute[];
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

/** Makes a listener that refuses plain requests in a sentence; transports take its upgrades. */
export function createHttpListener(options: HttpOptions): Server {
  const { connectionsMax, headersTimeoutMs = HEADERS_TIMEOUT_MS, isOwnHost, routes = [] } = options;
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headersTimeoutMs),
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / TIMEOUT_CHECKS),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  });
  const places = new HttpPlaces(server, connectionsMax);
  server.on('request', (request, response) => {
    if (accessRefusal(request, isOwnHost) === undefined && isTaken(request, response)) return;
    const refusal = refusalOf(request, isOwnHost) ?? upgradeRequired(server);
    const { headers, body } = refusalMessage(refusal);
    response.writeHead(refusal.status, headers).end(request.method === 'HEAD' ? undefined : body);
  });

  function isTaken(request: IncomingMessage, response: ServerResponse): boolean {
    const giveBack = places.take(request.socket);
    const taken = routes.some((route) => route.take(request, response));
    if (taken) response.once('close', giveBack);
    else giveBack();
    return taken;
  }

  return server;
}

/** Why a request may not come in at all, whatever it asks for. */
export function refusalOf(request: IncomingMessage, isOwnHost: IsOwnHost): HttpRefusal | undefined {
  const refusal = accessRefusal(request, isOwnHost);
  if (refusal !== undefined) return refusal;
  const path = pathOf(request);
  if (path === '/' || path === '/ws') return undefined;
  return { status: 404, errorCode: 'UNSUPPORTED', error: 'There is nothing here: the WebSocket is at / and at /ws' };
}

function accessRefusal(request: IncomingMessage, isOwnHost: IsOwnHost): HttpRefusal | undefined {
  const problem = accessProblem(request.headers, isOwnHost);
  return problem === undefined ? undefined : { status: 403, errorCode: 'FORBIDDEN', error: problem };
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
