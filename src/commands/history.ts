/**
 * What was asked of the server and how it ended, from the journal: get_command_history.
 *
 * A page is in append order, whichever way the pages go; a cursor is the place of a phase and works both ways. A question
 * reads a bounded number of entries: where that ends before the page is full, `truncated` says so and the cursor goes on.
 */
import { z } from 'zod';
import { SERVER_LANE, sessionLane } from '../../actors/entry.ts';
import type { JournalReader } from '../../actors/entry.ts';
import type { Outcome, ServerView } from '../../actors/message.ts';
import { envelopes, isNotBlank } from '../protocol/envelope.ts';
import { field, textField } from '../protocol/field.ts';
import { refuse, serverCommand } from './command.ts';
import { choiceField, limitField } from './fields.ts';
import { commandEntry, historyItem, PHASES } from './history-steps.ts';
import type { CommandEntry, Phase } from './history-steps.ts';
import { JournalWalk, sessionOf } from './history-walk.ts';
import type { Direction } from './history-walk.ts';
import type { JsonObject } from './session-info.ts';

const LIMIT = 100;
const LIMIT_MAX = 500;
/** Of one question. */
const SCANNED_MAX = 20_000;
const ID_CHARS_MAX = 256;
const SCHEMA_VERSION = 1;

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

interface Question {
  readonly sessionId: string | undefined;
  readonly commandId: string | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly lane: string | undefined;
  readonly outcome: 'success' | 'failure' | undefined;
  readonly limit: number;
  readonly direction: Direction;
  readonly cursor: Place | undefined;
}

export const getCommandHistory = serverCommand({
  type: 'get_command_history',
  scope: 'observe',
  lane: 'read',
  fields: {
    ...envelopes.server,
    sessionIdFilter: z.optional(idFilter),
    commandId: z.optional(idFilter),
    fromTimestamp: z.optional(timestamp),
    toTimestamp: z.optional(timestamp),
    lane: choiceField(['work', 'control']).optional(),
    outcome: choiceField(['success', 'failure']).optional(),
    limit: limitField(LIMIT_MAX).optional(),
    direction: choiceField(['forward', 'backward']).optional(),
    cursor: z
      .string({ error: CURSOR_TEXT })
      .regex(/^\d{1,15}:[0-3]$/, { error: CURSOR_TEXT })
      .optional(),
  },
  decide(frame, server) {
    const { sessionIdFilter: sessionId, commandId, fromTimestamp: from, toTimestamp: to, lane, outcome } = frame;
    if (from !== undefined && to !== undefined && from > to) {
      const details = [{ path: 'fromTimestamp', code: 'invalid', message: ORDER_TEXT }];
      return refuse('VALIDATION_FAILED', `Validation failed: fromTimestamp: ${ORDER_TEXT}`, details);
    }
    const { limit = LIMIT, direction = 'forward' } = frame;
    const cursor = frame.cursor === undefined ? undefined : placeOf(frame.cursor);
    const question = { sessionId, commandId, from, to, lane, outcome, limit, direction, cursor };
    const newest = server.journal.offset;
    return { do: 'consult', consult: (journal) => answerFrom(journal, server, newest, question) };
  },
});

async function answerFrom(
  journal: JournalReader,
  server: ServerView,
  newest: number,
  question: Question,
): Promise<Outcome> {
  const { sessionId, commandId, from, to, lane, outcome, limit, direction, cursor } = question;
  const page = await readPage(journal, newest, question);
  const entries = direction === 'forward' ? page.items : page.items.toReversed();
  const asked = { sessionIdFilter: sessionId, commandId, fromTimestamp: from, toTimestamp: to, lane, outcome };
  const given = Object.entries(asked).filter((filter): filter is [string, string | number] => filter[1] !== undefined);
  const data: JsonObject = {
    enabled: true,
    journalPath: server.recovery.journal,
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
  if (cursor !== undefined) data['cursor'] = cursorOf(cursor);
  if (page.next !== undefined) data['nextCursor'] = cursorOf(page.next);
  return { success: true, data };
}

interface Page {
  /** In the direction of the walk. */
  readonly items: JsonObject[];
  readonly scanned: number;
  readonly truncated: boolean;
  readonly next: Place | undefined;
}

async function readPage(journal: JournalReader, newest: number, question: Question): Promise<Page> {
  const { limit, direction, cursor, sessionId } = question;
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
      if (entry.at < (question.from ?? 0) || entry.at > (question.to ?? Infinity)) return;
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
      const lane = (entry.identity ?? accepted?.identity)?.['lane'];
      if (question.lane !== undefined && lane !== question.lane) continue;
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
  readonly #journal: JournalReader;
  readonly #known = new Map<number, CommandEntry | undefined>();
  read = 0;

  constructor(journal: JournalReader) {
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
