/**
 * The events of a session as server-sent events: an attach whose frames are written as they come.
 *
 * Each durable event carries its cursor as `id`, so a browser that comes back says by itself where to go on. A reader that falls
 * behind gets its mark and the end of the stream, which makes it come back. A comment now and then keeps proxies awake, and
 * shows when nobody takes anything any more. State: volatile.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../actors/ports.ts';
import type { EventRequest } from './event-request.ts';
import type { HttpClient, IncomingFrame } from './http-client.ts';

const HEAD = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
  Connection: 'close',
};

/** Frames beside the events that a stream shows. */
const SHOWN: ReadonlySet<string> = new Set(['session_synced', 'session_gap', 'session_lagging', 'session_deleted']);

/** Behind these nothing comes any more. */
const LAST: ReadonlySet<string> = new Set(['session_lagging', 'session_deleted']);

export function streamEvents(
  client: HttpClient,
  response: ServerResponse,
  { sessionId, after, deltas, role }: EventRequest,
  clock: Clock,
  keepAliveMs: number,
): void {
  client.onFrame = (frame, text) => {
    if (response.headersSent) show(frame, text);
  };
  if (after === 'live') attach();
  else {
    // Over HTTP a cursor that can't be gone on from is refused, before there is a stream.
    client.ask({ type: 'get_session_events', sessionId, after, limit: 1 }, (frame, text) => {
      if (frame.success === true) attach();
      else client.refuse(frame, text);
    });
  }

  function attach(): void {
    client.ask({ type: 'attach_session', sessionId, after, deltas, role }, (frame, text) => {
      if (frame.success !== true) return client.refuse(frame, text);
      response.writeHead(200, HEAD);
      response.flushHeaders();
      client.send(`event: response\ndata: ${text}\n\n`);
      keepAlive();
    });
  }

  function show(frame: IncomingFrame, text: string): void {
    if (frame.type === 'event') {
      const id = frame.ephemeral === true ? '' : `id: ${frame.epoch}:${frame.seq}\n`;
      client.send(`${id}data: ${text}\n\n`);
      return;
    }
    if (!SHOWN.has(frame.type) || frame.data?.['sessionId'] !== sessionId) return;
    const { epoch, seq } = frame.data as { epoch?: string; seq?: number };
    const id = frame.type === 'session_synced' ? `id: ${epoch}:${seq}\n` : '';
    client.send(`event: ${frame.type}\n${id}data: ${text}\n\n`);
    if (LAST.has(frame.type)) client.end();
  }

  function keepAlive(): void {
    let taken = takenBy(response);
    let timer = clock.setTimeout(tick, keepAliveMs);
    response.once('close', () => clock.clearTimeout(timer));

    function tick(): void {
      const now = takenBy(response);
      // Something waited all the time, and none of it was taken.
      if (response.writableLength > 0 && now === taken) return void response.destroy();
      taken = now;
      client.send(': keep-alive\n\n');
      timer = clock.setTimeout(tick, keepAliveMs);
    }
  }
}

function takenBy({ socket }: ServerResponse): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
}
