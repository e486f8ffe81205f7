/**
 * Events over plain HTTP: `GET /v1/sessions/{id}/events` as a stream (server-sent events) or, with `wait`, as a long poll.
 *
 * Each request is a client of the runtime like one of a WebSocket, with a place among the connections as long as it lasts.
 * State: volatile.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../../actors/message.ts';
import { closeCodes } from '../protocol/close-codes.ts';
import { pollEvents } from './event-poll.ts';
import { readEventRequest } from './event-request.ts';
import { streamEvents } from './event-stream.ts';
import { answerBody } from './http-answer.ts';
import { HttpClient } from './http-client.ts';
import type { HttpPorts } from './http-client.ts';

/** What takes requests of a listener. */
export interface HttpRoute {
  /** False: it is for somebody else. */
  take(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface EventRoutesOptions {
  /** Who every client is, as long as there is no authentication. */
  readonly principal: Principal;
  /** How often a stream on which nothing happens says so. */
  readonly keepAliveMs: number;
}

export interface EventRoutes extends HttpRoute {
  /** Ends every answer that has not ended, and waits until all are gone. */
  stop(): Promise<void>;
}

/** How long the end of an answer may take at a stop. */
const STOP_MS = 3_000;

export function createEventRoutes(ports: HttpPorts, { principal, keepAliveMs }: EventRoutesOptions): EventRoutes {
  const open = new Map<HttpClient, { readonly response: ServerResponse; readonly gone: Promise<void> }>();

  function take(request: IncomingMessage, response: ServerResponse): boolean {
    const asked = readEventRequest(request);
    if (asked === undefined) return false;
    if (request.method !== 'GET') {
      const body = { success: false, errorCode: 'UNSUPPORTED', error: 'Events are read with GET' };
      answerBody(response, 405, `${JSON.stringify(body)}\n`, { Allow: 'GET' });
      return true;
    }
    if ('message' in asked) {
      const { path, message } = asked;
      const error = `Validation failed: ${path}: ${message}`;
      const details = [{ path, code: 'invalid', message }];
      const body = { success: false, error, errorCode: 'VALIDATION_FAILED', details };
      answerBody(response, 400, `${JSON.stringify(body)}\n`);
      return true;
    }
    const client = new HttpClient(response, ports);
    const gone = new Promise<void>((resolve) => {
      response.once('close', () => {
        open.delete(client);
        resolve();
      });
    });
    open.set(client, { response, gone });
    client.introduce(principal);
    if (client.isOver) return true;
    const { waitMs } = asked;
    if (waitMs === undefined) streamEvents(client, response, asked, ports.clock, keepAliveMs);
    else pollEvents(client, asked, waitMs, ports.clock, (callback) => response.once('close', callback));
    return true;
  }

  return {
    take,
    async stop() {
      const all = [...open];
      for (const [client] of all) client.close(closeCodes.goingAway, 'The server is shutting down');
      const timer = ports.clock.setTimeout(() => {
        for (const [, { response }] of all) response.destroy();
      }, STOP_MS);
      await Promise.all(all.map(([, { gone }]) => gone));
      ports.clock.clearTimeout(timer);
    },
  };
}
