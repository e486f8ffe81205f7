/**
 * A page of a session's events, or, if there is none, the first that comes within a time: the long poll.
 *
 * It asks, attaches behind the cursor and asks again when something happens, so that the answer is the same page that the command
 * gives. State: volatile.
 */
import type { Clock } from '../../actors/ports.ts';
import type { EventRequest } from './event-request.ts';
import type { HttpClient, IncomingFrame } from './http-client.ts';

interface Page {
  readonly epoch: string;
  readonly events: readonly { readonly seq: number }[];
  readonly hasMore: boolean;
}

interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Of the attached session; each of them may be a reason to look. */
const NEWS: ReadonlySet<string> = new Set(['session_gap', 'session_lagging', 'session_deleted']);

export function pollEvents(
  client: HttpClient,
  { sessionId, after, limit }: EventRequest,
  waitMs: number,
  clock: Clock,
  onceClosed: (callback: () => void) => void,
): void {
  let waitsBehind: Cursor | undefined;

  client.onFrame = (frame) => {
    if (waitsBehind === undefined || !isNews(frame)) return;
    const cursor = waitsBehind;
    waitsBehind = undefined;
    look(cursor, (page) => tell(page, cursor));
  };
  const timer = clock.setTimeout(() => {
    if (waitsBehind !== undefined) tell({ epoch: waitsBehind.epoch, events: [], hasMore: false }, waitsBehind);
  }, waitMs);
  onceClosed(() => clock.clearTimeout(timer));

  if (after === 'live' && waitMs > 0) attach('live');
  else {
    look(after, (page) => {
      const cursor = typeof after === 'object' ? (after as Cursor) : { epoch: page.epoch, seq: 0 };
      if (page.events.length > 0 || waitMs === 0) tell(page, after === 'live' ? undefined : cursor);
      else attach(cursor);
    });
  }

  function look(behind: unknown, onPage: (page: Page) => void): void {
    client.ask({ type: 'get_session_events', sessionId, after: behind, limit }, (frame, text) => {
      if (frame.success === true) onPage(frame.data as unknown as Page);
      else client.refuse(frame, text);
    });
  }

  function attach(behind: Cursor | 'live'): void {
    client.ask({ type: 'attach_session', sessionId, after: behind, deltas: 'none' }, (frame, text) => {
      if (frame.success !== true) return client.refuse(frame, text);
      const { epoch, watermark } = frame.data as { epoch: string; watermark: number };
      waitsBehind = behind === 'live' ? { epoch, seq: watermark } : behind;
    });
  }

  /** `behind`: where to go on if there are no events. */
  function tell({ epoch, events, hasMore }: Page, behind: Cursor | undefined): void {
    const seq = events.at(-1)?.seq ?? behind?.seq;
    client.answer({ epoch, events, hasMore }, seq === undefined ? {} : { 'Troupe-Cursor': `${epoch}:${seq}` });
  }

  function isNews(frame: IncomingFrame): boolean {
    if (frame.type === 'event') return frame.sessionId === sessionId;
    return NEWS.has(frame.type) && frame.data?.['sessionId'] === sessionId;
  }
}
