/**
 * The durable events of one incarnation of a session, as its journal lane holds them: finds the entry behind a number, and
 * reads on from there, page by page.
 *
 * Numbers ascend with offsets, so the entry is found by halving: the journal needs no index of events. What the journal does
 * not hold any more, because retention took a prefix of the lane or blanked what entries say, is not among the events of a
 * page: whoever reads compares their numbers with those that he expected. State: none but where it looks.
 */
import { sessionLane } from '../entry.ts';
import type { Entry, JournalReader } from '../entry.ts';
import type { SessionEvent } from './event.ts';

/** An event with its number, and when it was recorded. */
export interface NumberedEvent {
  readonly seq: number;
  readonly at: number;
  readonly event: SessionEvent;
}

/** Which events: those of the session that was opened with this entry. */
export interface Incarnation {
  readonly id: string;
  readonly openedOffset: number;
}

export interface EventPage {
  readonly events: readonly NumberedEvent[];
  /** Where the next page begins. */
  readonly after: number;
  /** Behind it is nothing of what was asked for. */
  readonly isLast: boolean;
}

/** Entries that are read at once: decoded on the event loop, in about half a millisecond unless they are large. */
const PAGE_ENTRIES = 128;
/** Most entries of a lane say something, so the first ones behind a place nearly always hold an event. */
const PROBE_ENTRIES = 8;

export class EventPages {
  readonly #journal: Pick<JournalReader, 'scan'>;
  readonly #lane: string;
  readonly #openedOffset: number;

  constructor(journal: Pick<JournalReader, 'scan'>, { id, openedOffset }: Incarnation) {
    this.#journal = journal;
    this.#lane = sessionLane(id);
    this.#openedOffset = openedOffset;
  }

  /**
   * An offset behind which event `seq` is among the next few: nothing from it on has a smaller number but a page's worth.
   *
   * @param last an offset behind which nothing is looked for.
   */
  async seek(seq: number, last: number): Promise<number> {
    let low = this.#openedOffset - 1;
    if (seq <= 1) return low;
    for (let high = last; high - low > PAGE_ENTRIES;) {
      const middle = Math.floor((low + high) / 2);
      const found = await this.#firstBetween(middle, high);
      if (found !== undefined && found.last < seq) low = found.offset;
      else high = middle;
    }
    return low;
  }

  /** The events numbered `from` to `to` of the next entries behind an offset. */
  async page(after: number, from: number, to: number): Promise<EventPage> {
    const stored = await this.#journal.scan({ after, limit: PAGE_ENTRIES, lane: this.#lane });
    const events: NumberedEvent[] = [];
    let place = after;
    for (const { entry } of stored) {
      place = entry.offset;
      if (this.#isForeign(entry)) return { events, after: place, isLast: true };
      const numbered = numberedIn(entry);
      if (numbered === undefined) continue;
      const first = numbered.last - numbered.events.length + 1;
      numbered.events.forEach((event, index) => {
        const seq = first + index;
        if (seq >= from && seq <= to) events.push({ seq, at: entry.at, event });
      });
      if (numbered.last >= to) return { events, after: place, isLast: true };
    }
    return { events, after: place, isLast: stored.length === 0 };
  }

  /** The events numbered `from` to `to`, one after the other; as many pages are read as are asked for. */
  async *events(from: number, to: number, last: number): AsyncGenerator<NumberedEvent> {
    if (from > to) return;
    let after = await this.seek(from, last);
    for (let isLast = false; !isLast;) {
      const page = await this.page(after, from, to);
      yield* page.events;
      ({ after, isLast } = page);
    }
  }

  /** The first entry with events in a stretch of offsets. What lies behind the stretch was looked at before. */
  async #firstBetween(after: number, to: number): Promise<{ offset: number; last: number } | undefined> {
    let limit = PROBE_ENTRIES;
    for (let place = after; place < to;) {
      const stored = await this.#journal.scan({ after: place, limit, lane: this.#lane });
      if (stored.length === 0) return undefined;
      for (const { entry } of stored) {
        place = entry.offset;
        if (place > to || this.#isForeign(entry)) return undefined;
        const numbered = numberedIn(entry);
        if (numbered !== undefined) return { offset: place, last: numbered.last };
      }
      limit = PAGE_ENTRIES;
    }
    return undefined;
  }

  /** It opens the next session of that name, which counts anew. */
  #isForeign(entry: Entry): boolean {
    if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') return false;
    if (entry.offset === this.#openedOffset) return false;
    return entry.content.facts?.some(({ type }) => type === 'session.opened') === true;
  }
}

/**
 * The events of an entry, of which the last one has the number `last`. Of a blanked one there are none: what is left of them is
 * not what happened.
 */
function numberedIn(entry: Entry): { readonly last: number; readonly events: readonly SessionEvent[] } | undefined {
  switch (entry.kind) {
    case 'session.event':
      return { last: entry.seq, events: entry.blanked === true ? [] : [entry.content.event] };
    case 'command.settled':
    case 'command.finished': {
      if (entry.seq === undefined) return undefined;
      const { events = [] } = entry.content;
      return { last: entry.seq, events: entry.blanked === true ? [] : events };
    }
    default:
      return undefined;
  }
}
