/**
 * The HTTP listener that transports are attached to, and what it answers to plain requests.
 *
 * Its limits end slow and silent connections before they cost anything: headers and requests have a deadline, their size a
 * maximum, and so has the number of sockets. State: volatile.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { accessProblem, type IsOwnHost } from './access.ts';
import type { ErrorCode } from '../protocol/errors.ts';

/** Limits, and under which names the listener may be asked. */
export interface HttpOptions {
  readonly connectionsMax: number;
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
const TIMEOUT_CHECK_INTERVAL_MS = 2_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** Sockets beyond the clients' own: one over the limit must get its handshake to be told so with a close code. */
const SPARE_SOCKETS = 64;

/** Makes a listener that refuses plain requests in a sentence; transports take its upgrades. */
export function createHttpListener({ connectionsMax, isOwnHost }: HttpOptions): Server {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  });
  server.maxConnections = connectionsMax + SPARE_SOCKETS;
  server.on('request', (request, response) => {
    const refusal = refusalOf(request, isOwnHost) ?? upgradeRequired(server);
    const { headers, body } = refusalMessage(refusal);
    response.writeHead(refusal.status, headers).end(request.method === 'HEAD' ? undefined : body);
  });
  return server;
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
