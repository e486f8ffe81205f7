/**
 * What a request for events asks for: the session in its path, the cursor in its query or in `Last-Event-ID`.
 *
 * Only what HTTP adds is looked at here; what belongs to the commands behind it is handed on as it came, wrong or not, and
 * refused by them. State: none.
 */
import type { IncomingMessage } from 'node:http';

/** Fields of the commands behind the request. */
export interface EventRequest {
  readonly sessionId: string;
  /** As a command takes it, or what came instead. */
  readonly after: unknown;
  readonly deltas: string | undefined;
  readonly role: string | undefined;
  /** How long an answer may wait for an event; without it the answer is a stream. */
  readonly waitMs: number | undefined;
  readonly limit: unknown;
}

/** A part of the request that is none. */
export interface WrongRequest {
  readonly path: string;
  readonly message: string;
}

const PATH = /^\/v1\/sessions\/([^/]*)\/events$/;
const WAIT_SECONDS_MAX = 60;

/** Undefined: it asks for something else. */
export function readEventRequest({ url = '/', headers }: IncomingMessage): EventRequest | WrongRequest | undefined {
  const begin = url.search(/[?#]/);
  const segment = PATH.exec(begin < 0 ? url : url.slice(0, begin))?.[1];
  if (segment === undefined) return undefined;
  const sessionId = decoded(segment);
  if (sessionId === undefined) return { path: 'sessionId', message: 'Must be encoded as part of a path' };
  const query = new URLSearchParams(begin < 0 ? '' : url.slice(begin + 1).replace(/#.*$/, ''));
  const wait = query.get('wait');
  if (wait !== null && !/^\d{1,9}$/.test(wait)) return { path: 'wait', message: 'Must be a number of seconds' };
  const last = headers['last-event-id'];
  const limit = query.get('limit');
  return {
    sessionId,
    after: cursorOf(typeof last === 'string' && last !== '' ? last : (query.get('after') ?? 'live')),
    deltas: query.get('deltas') ?? undefined,
    role: query.get('role') ?? undefined,
    waitMs: wait === null ? undefined : Math.min(Number(wait), WAIT_SECONDS_MAX) * 1000,
    limit: limit === null ? undefined : /^\d{1,9}$/.test(limit) ? Number(limit) : limit,
  };
}

/** An epoch has no colon. */
function cursorOf(text: string): unknown {
  const match = /^([^:]+):(\d{1,15})$/.exec(text);
  return match === null ? text : { epoch: match[1], seq: Number(match[2]) };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
