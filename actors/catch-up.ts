/**
 * One viewer on the way from its cursor to the present: it is shown what it missed, from the journal, and then what happened
 * meanwhile.
 *
 * A page is read when the one before is on its way and the client has taken most of what it was given, so that a million
 * events need no more memory than ten thousand, and a client that does not read holds up nobody but itself. What becomes
 * visible meanwhile is held for it, in order and within a bound; past that the client is told how far it got. What the journal
 * does not hold any more is told as a gap. It ends once, whatever happens. State: volatile.
 */
import type { Connection } from './connection.ts';
import type { JournalReader } from './entry.ts';
import type { Frames } from './ports.ts';
import type { ReadTurns } from './read-turns.ts';
import { EventPages } from './session/event-pages.ts';

/** What all who catch up share. */
export interface CatchUpPorts {
  readonly frames: Frames;
  readonly journal: Pick<JournalReader, 'scan'>;
  readonly turns: ReadTurns;
  /** Bytes that wait in a connection before its events stop: a part of that is used here. */
  readonly outgoingBytesMax: number;
}

/** What was missed: the durable events behind `seen` up to the watermark of the answer. */
export interface Stretch {
  readonly sessionId: string;
  readonly epoch: string;
  readonly openedOffset: number;
  /** Nothing behind this offset was recorded when the watermark was fixed. */
  readonly lastOffset: number;
  readonly seen: number;
  readonly watermark: number;
}

/** Why no events came where some were expected. */
export type GapReason = 'foreign_epoch' | 'beyond_head' | 'retention';

/** A page's events are not written while more than this share of what may wait in the connection waits. */
const BACKLOG_SHARE = 4;
/** Beside that, what is held has to fit in as well. */
const HELD_SHARE = 2;

interface Held {
  readonly text: string;
  /** Of a durable event. */
  readonly seq: number | undefined;
}

export class CatchUp {
  readonly #ports: CatchUpPorts;
  readonly #connection: Connection;
  readonly #stretch: Stretch;
  readonly #onEnd: (error: unknown) => void;
  readonly #pages: EventPages;
  #seen: number;
  #held: Held[] = [];
  #heldBytes = 0;
  #ended = false;

  /** `onEnd` is called once, unless it is stopped: without an error when the viewer sees what happens now. */
  constructor(ports: CatchUpPorts, connection: Connection, stretch: Stretch, onEnd: (error: unknown) => void) {
    this.#ports = ports;
    this.#connection = connection;
    this.#stretch = stretch;
    this.#onEnd = onEnd;
    this.#seen = stretch.seen;
    this.#pages = new EventPages(ports.journal, { id: stretch.sessionId, openedOffset: stretch.openedOffset });
  }

  /** Number of the last durable event that the client was shown, or told that it is not shown. */
  get seen(): number {
    return this.#seen;
  }

  begin(): void {
    this.#run().catch((error: unknown) => this.#end(error ?? new Error('unknown')));
  }

  /** Keeps a frame until it is its turn; false when there is no room for it. */
  hold(text: string, seq: number | undefined): boolean {
    this.#heldBytes += text.length;
    if (this.#heldBytes * HELD_SHARE > this.#ports.outgoingBytesMax) return false;
    this.#held.push({ text, seq });
    return true;
  }

  /** Nothing more is shown. */
  stop(): void {
    this.#ended = true;
    this.#held = [];
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#held = [];
    this.#onEnd(error);
  }

  async #run(): Promise<void> {
    const { turns } = this.#ports;
    const { lastOffset, watermark } = this.#stretch;
    let after = await turns.take(() => this.#pages.seek(this.#seen + 1, lastOffset));
    for (let isLast = false; !isLast && !this.#ended && this.#seen < watermark;) {
      const begin = after;
      const page = await turns.take(() => this.#pages.page(begin, this.#seen + 1, watermark));
      for (const { seq, event } of page.events) {
        if (this.#isFull) await this.#room();
        if (this.#isOver()) return;
        if (seq > this.#seen + 1) this.#skip(seq - 1);
        const { sessionId, epoch } = this.#stretch;
        this.#show({ text: this.#ports.frames.event(sessionId, epoch, seq, event, false), seq });
      }
      ({ after, isLast } = page);
    }
    if (this.#isOver()) return;
    if (this.#seen < watermark) this.#skip(watermark);
    tellSynced(this.#ports.frames, this.#connection, this.#stretch);
    for (const held of this.#held) this.#show(held);
    // In the same step: a frame that comes a moment later is live.
    this.#end(undefined);
  }

  /** Asked anew each time: it may have been stopped while something was awaited. */
  #isOver(): boolean {
    return this.#ended;
  }

  get #isFull(): boolean {
    return this.#connection.waitingBytes * BACKLOG_SHARE > this.#ports.outgoingBytesMax;
  }

  /** Waits until the client has taken most of what it was given. */
  async #room(): Promise<void> {
    while (this.#isFull && !this.#isOver()) await this.#connection.taken();
  }

  #show({ text, seq }: Held): void {
    if (!this.#connection.sendEvent(text)) throw new Error('The client is too slow');
    if (seq !== undefined) this.#seen = seq;
  }

  /** Events up to `to` are not there any more. */
  #skip(to: number): void {
    tellGap(this.#ports.frames, this.#connection, this.#stretch, this.#seen + 1, to, 'retention');
    this.#seen = to;
  }
}

interface Where {
  readonly sessionId: string;
  readonly epoch: string;
  readonly watermark: number;
}

/** Events `fromSeq` to `toSeq` are not shown: the next one is behind `toSeq`. */
export function tellGap(
  frames: Frames,
  connection: Connection,
  { sessionId, epoch }: Where,
  fromSeq: number,
  toSeq: number,
  reason: GapReason,
): void {
  connection.sendResponse(frames.notice('session_gap', { sessionId, epoch, fromSeq, toSeq, reason }));
}

/** From here on events are live. */
export function tellSynced(frames: Frames, connection: Connection, { sessionId, epoch, watermark }: Where): void {
  connection.sendResponse(frames.notice('session_synced', { sessionId, epoch, seq: watermark }));
}
