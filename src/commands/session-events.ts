/**
 * What happened in a session, a page at a time, from the journal: get_session_events.
 *
 * A page has a bounded number of events and of bytes. It holds everything between its first and its last event; where the
 * journal does not hold what should come next, the question is refused with the number of the first event that there is:
 * nothing is left out in silence.
 */
import { z } from 'zod';
import type { JournalReader } from '../../actors/entry.ts';
import type { After, Cursor, Outcome, SessionView } from '../../actors/message.ts';
import { EventPages } from '../../actors/session/event-pages.ts';
import type { NumberedEvent } from '../../actors/session/event-pages.ts';
import { envelopes } from '../protocol/envelope.ts';
import { refusal, sessionCommand } from './command.ts';
import { afterField, beforeField, limitField } from './fields.ts';
import { timeText } from './session-info.ts';

const LIMIT = 100;
const LIMIT_MAX = 1_000;
/** Of the events of a page; one event alone may be larger. */
const PAGE_BYTES_MAX = 1024 * 1024;

type Head = Pick<SessionView, 'id' | 'epoch' | 'seq' | 'openedOffset'>;

type Reason = 'foreign_epoch' | 'beyond_head' | 'retention';

export const getSessionEvents = sessionCommand({
  type: 'get_session_events',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: {
    ...envelopes.attachment,
    after: z.optional(afterField),
    before: z.optional(beforeField),
    limit: limitField(LIMIT_MAX).optional(),
  },
  decide({ after, before, limit = LIMIT }, { id, epoch, seq, openedOffset }, server) {
    const head: Head = { id, epoch, seq, openedOffset };
    const last = server.journal.offset;
    return {
      do: 'consult',
      consult: (journal) => new Question(journal, head, last).answer(after, before, limit),
    };
  },
});

class Question {
  readonly #pages: EventPages;
  readonly #head: Head;
  readonly #last: number;

  /** `last`: nothing of the session as it was seen is recorded behind this offset. */
  constructor(journal: JournalReader, head: Head, last: number) {
    this.#pages = new EventPages(journal, head);
    this.#head = head;
    this.#last = last;
  }

  /** Without `after` a page ends right before `before`; else it begins right behind `after`. */
  async answer(after: After | undefined, before: Cursor | 'live' | undefined, limit: number): Promise<Outcome> {
    const { epoch, seq } = this.#head;
    for (const cursor of [after, before]) {
      if (typeof cursor !== 'object') continue;
      if (cursor.epoch !== epoch) return this.#expired('foreign_epoch', 1);
      if (cursor.seq > seq) return this.#expired('beyond_head', 1);
    }
    const to = typeof before === 'object' ? before.seq - 1 : seq;
    if (after === undefined && before !== undefined) return this.#backward(Math.max(1, to - limit + 1), to);
    const seen = after === 'live' ? seq : typeof after === 'object' ? after.seq : 0;
    return this.#forward(seen + 1, to, limit);
  }

  async #forward(from: number, to: number, limit: number): Promise<Outcome> {
    const found: NumberedEvent[] = [];
    let bytes = 0;
    for await (const numbered of this.#pages.events(from, to, this.#last)) {
      // What is missing begins the next page, which is refused.
      if (numbered.seq !== from + found.length) break;
      bytes += sizeOf(numbered);
      if (found.length > 0 && bytes > PAGE_BYTES_MAX) break;
      found.push(numbered);
      if (found.length === limit) break;
    }
    if (found.length === 0 && from <= to) return this.#expired('retention', from);
    return this.#page(found, from + found.length <= to);
  }

  async #backward(from: number, to: number): Promise<Outcome> {
    let found: NumberedEvent[] = [];
    let bytes = 0;
    for await (const numbered of this.#pages.events(from, to, this.#last)) {
      if (found.length > 0 && numbered.seq !== found.at(-1)!.seq + 1) [found, bytes] = [[], 0];
      found.push(numbered);
      bytes += sizeOf(numbered);
      while (found.length > 1 && bytes > PAGE_BYTES_MAX) bytes -= sizeOf(found.shift()!);
    }
    if (from <= to && found.at(-1)?.seq !== to) return this.#expired('retention', to);
    return this.#page(found, (found[0]?.seq ?? 1) > 1);
  }

  #page(found: readonly NumberedEvent[], hasMore: boolean): Outcome {
    const events = found.map(({ seq, at, event }) => ({ seq, at: timeText(at), event }));
    return { success: true, data: { epoch: this.#head.epoch, events, hasMore } };
  }

  /** `firstSeq`: the first event that there is, from the one on that was asked for. */
  async #expired(reason: Reason, from: number): Promise<Outcome> {
    const { epoch, seq, id } = this.#head;
    let firstSeq = seq + 1;
    for await (const numbered of this.#pages.events(from, seq, this.#last)) {
      firstSeq = numbered.seq;
      break;
    }
    const text = `The cursor can not be gone on from: ${TEXTS[reason]}. The first event of session ${id} is ${firstSeq}`;
    return refusal('CURSOR_EXPIRED', text, { reason, epoch, firstSeq, lastSeq: seq });
  }
}

const TEXTS: Readonly<Record<Reason, string>> = {
  foreign_epoch: 'it belongs to another incarnation of the session',
  beyond_head: 'the session has not come that far',
  retention: 'events behind it are not kept any more',
};

function sizeOf({ event }: NumberedEvent): number {
  return JSON.stringify(event).length;
}
