/**
 * A page of what was asked of a server and how it ended, from its journal: of a running one or of a file.
 *
 * A page is in append order, whichever way the pages go; a cursor is the place of a phase and works both ways. A question
 * reads a bounded number of entries: where that ends before the page is full, `truncated` says so and the cursor goes on.
 */
import { z } from 'zod';
import { SERVER_LANE, sessionLane } from '../../actors/entry.ts';
import type { EntryReader } from '../../actors/entry.ts';
import { classed } from '../protocol/data-class.ts';
import { isNotBlank } from '../protocol/envelope.ts';
import { field, textField } from '../protocol/field.ts';
import { choiceField, limitField } from './fields.ts';
import { commandEntry, historyItem, PHASES } from './history-steps.ts';
import type { CommandEntry, Phase } from './history-steps.ts';
import { JournalWalk, sessionOf } from './history-walk.ts';
import type { Direction } from './history-walk.ts';
import type { Json } from '../../actors/message.ts';
import type { JsonObject } from './session-info.ts';

const LIMIT = 100;
const LIMIT_MAX = 500;
/** Of one question. */
const SCANNED_MAX = 20_000;
const ID_CHARS_MAX = 256;
const SCHEMA_VERSION = 1;

const FILTERS = [
  'sessionIdFilter',
  'commandId',
  'commandType',
  'fromTimestamp',
  'toTimestamp',
  'lane',
  'outcome',
] as const;

const BLANK_TEXT = 'Must be a non-empty string if provided';
const CURSOR_TEXT = 'Must be a nextCursor of an earlier answer';
const TIME_TEXT = 'Must be a non-negative integer timestamp';
const ORDER_TEXT = 'Must be less than or equal to toTimestamp';

const idFilter = textField(BLANK_TEXT, ID_CHARS_MAX, (text) => {
  if (!isNotBlank(text)) return BLANK_TEXT;
  return text.length > ID_CHARS_MAX ? `Too long (max ${ID_CHARS_MAX} chars)` : undefined;
});

const timestamp = field<number>({ type: 'integer', minimum: 0 }, (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : TIME_TEXT,
);

/** Place of a phase: everything up to and including it lies behind a walk forward, before it lies what is ahead of one back. */
interface Place {
  readonly offset: number;
  readonly phase: number;
}

/** What may be asked for; checked by whoever takes the question. */
export const historyFields = {
  sessionIdFilter: classed('identity', z.optional(idFilter)),
  commandId: classed('identity', z.optional(idFilter)),
  commandType: classed('operational', z.optional(idFilter)),
  fromTimestamp: classed('operational', z.optional(timestamp)),
  toTimestamp: classed('operational', z.optional(timestamp)),
  lane: choiceField(['work', 'control']).optional(),
  outcome: choiceField(['success', 'failure']).optional(),
  limit: limitField(LIMIT_MAX).optional(),
  direction: choiceField(['forward', 'backward']).optional(),
  cursor: classed(
    'operational',
    z
      .string({ error: CURSOR_TEXT })
      .regex(/^\d{1,15}:[0-3]$/, { error: CURSOR_TEXT })
      .optional(),
  ),
};

export type HistoryFilters = z.output<z.ZodObject<typeof historyFields>>;

interface Question extends HistoryFilters {
  readonly limit: number;
  readonly direction: Direction;
  readonly place: Place | undefined;
}

/** What is wrong with filters that are each right. */
export function filterProblem({ fromTimestamp: from, toTimestamp: to }: HistoryFilters): Problem | undefined {
  if (from === undefined || to === undefined || from <= to) return undefined;
  return { path: 'fromTimestamp', code: 'invalid', message: ORDER_TEXT };
}

interface Problem {
  readonly [field: string]: string;
  readonly path: string;
  readonly message: string;
}

/** `newest`: the last offset that counts. */
export async function historyPage(
  journal: EntryReader,
  { newest, journalPath }: { readonly newest: number; readonly journalPath: string },
  { cursor, limit = LIMIT, direction = 'forward', ...filters }: HistoryFilters,
): Promise<JsonObject> {
  const place = cursor === undefined ? undefined : placeOf(cursor);
  const page = await readPage(journal, newest, { ...filters, limit, direction, place });
  const entries = direction === 'forward' ? page.items : page.items.toReversed();
  const given = FILTERS.flatMap((name) => (filters[name] === undefined ? [] : [[name, filters[name]] as const]));
  const data: JsonObject = {
    enabled: true,
    journalPath,
    schemaVersion: SCHEMA_VERSION,
    filters: Object.fromEntries(given),
    direction,
    entries,
    returned: entries.length,
    maxItemsReturned: limit,
    maxItemsAllowed: LIMIT_MAX,
    truncated: page.truncated,
    entriesScanned: page.scanned,
  };
  if (cursor !== undefined) data['cursor'] = cursor;
  if (page.next !== undefined) data['nextCursor'] = cursorOf(page.next);
  return data;
}

interface Page {
  /** In the direction of the walk. */
  readonly items: JsonObject[];
  readonly scanned: number;
  readonly truncated: boolean;
  readonly next: Place | undefined;
}

async function readPage(journal: EntryReader, newest: number, question: Question): Promise<Page> {
  const { limit, direction, place: cursor, sessionIdFilter: sessionId, fromTimestamp, toTimestamp } = question;
  const forward = direction === 'forward';
  const walk = new JournalWalk(
    journal,
    {
      from: forward && cursor !== undefined ? Math.max(1, cursor.offset) : 1,
      to: forward || cursor === undefined ? newest : Math.min(newest, cursor.offset),
      // What was asked of a session that was not there is the server's.
      lanes: sessionId === undefined ? [] : [sessionLane(sessionId), SERVER_LANE],
      direction,
    },
    (stored) => {
      const { entry } = stored;
      if (question.commandId !== undefined && !('commandId' in entry && entry.commandId === question.commandId)) return;
      if (sessionId !== undefined && sessionOf(entry) !== sessionId) return;
      if (entry.at < (fromTimestamp ?? 0) || entry.at > (toTimestamp ?? Infinity)) return;
      return commandEntry(stored);
    },
  );
  const readers = new Identities(journal);
  const items: JsonObject[] = [];
  let last: Place | undefined;
  while (!walk.done) {
    const spent = walk.scanned + readers.read >= SCANNED_MAX;
    if (spent) return { items, scanned: walk.scanned, truncated: true, next: edgeOf(walk.reached, forward) };
    for (const entry of await walk.next()) {
      const accepted = await readers.of(entry);
      const identity = entry.identity ?? accepted?.identity;
      if (question.lane !== undefined && identity?.['lane'] !== question.lane) continue;
      if (question.commandType !== undefined && typeOf(entry, identity) !== question.commandType) continue;
      for (const phase of forward ? entry.phases : entry.phases.toReversed()) {
        const place = { offset: entry.offset, phase: PHASES.indexOf(phase) + 1 };
        if (!isAhead(place, cursor, forward) || !fits(entry, phase, question.outcome)) continue;
        // One more than fits: there is a next page.
        if (items.length === limit) return { items, scanned: walk.scanned, truncated: false, next: last };
        items.push(historyItem(entry, phase, accepted));
        last = place;
      }
    }
  }
  return { items, scanned: walk.scanned, truncated: false, next: undefined };
}

/** Entries that say who asked for a command that started or ended later. */
class Identities {
  readonly #journal: EntryReader;
  readonly #known = new Map<number, CommandEntry | undefined>();
  read = 0;

  constructor(journal: EntryReader) {
    this.#journal = journal;
  }

  async of({ acceptedOffset }: CommandEntry): Promise<CommandEntry | undefined> {
    if (acceptedOffset === undefined) return undefined;
    if (this.#known.has(acceptedOffset)) return this.#known.get(acceptedOffset);
    const stored = await this.#journal.read(acceptedOffset);
    this.read += 1;
    const accepted = stored === undefined ? undefined : commandEntry(stored);
    this.#known.set(acceptedOffset, accepted);
    return accepted;
  }
}

/** The end of a command says it too, when what accepted it is not kept any more. */
function typeOf(entry: CommandEntry, identity: JsonObject | undefined): Json | undefined {
  return identity?.['commandType'] ?? entry.end['commandType'];
}

function fits(entry: CommandEntry, phase: Phase, outcome: Question['outcome']): boolean {
  if (outcome === undefined) return true;
  return phase === 'command_finished' && entry.success === (outcome === 'success');
}

function isAhead(place: Place, cursor: Place | undefined, forward: boolean): boolean {
  if (cursor === undefined) return true;
  const difference = place.offset - cursor.offset || place.phase - cursor.phase;
  return forward ? difference > 0 : difference < 0;
}

/** The place at the edge of what was read: behind all phases of an entry, or before them. */
function edgeOf(offset: number, forward: boolean): Place {
  return { offset, phase: forward ? PHASES.length : 0 };
}

function placeOf(cursor: string): Place {
  const [offset, phase] = cursor.split(':').map(Number);
  return { offset: offset ?? 0, phase: phase ?? 0 };
}

function cursorOf({ offset, phase }: Place): string {
  return `${offset}:${phase}`;
}
