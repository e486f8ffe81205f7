/**
 * Looking at sessions: get_state, get_messages, get_last_assistant_text, list_sessions.
 *
 * What is shown of a conversation is what its clients were shown: the fold of the journal, never an engine's file.
 */
import { z } from 'zod';
import type { Json, ServerView, SessionSummary } from '../../actors/message.ts';
import { classed } from '../protocol/data-class.ts';
import { envelopes } from '../protocol/envelope.ts';
import { answer, serverCommand, sessionCommand } from './command.ts';
import { limitField } from './fields.ts';
import { sessionInfo, sessionState } from './session-info.ts';
import type { JsonObject } from './session-info.ts';

const LIST_MAX = 1000;
const CURSOR_TEXT = 'Must be a nextCursor of an earlier answer';

export const getState = sessionCommand({
  type: 'get_state',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.session,
  decide: (_frame, session, server) => answer(sessionState(session, server.engineCapabilities(session.engine))),
});

export const getMessages = sessionCommand({
  type: 'get_messages',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.session,
  decide: (_frame, session) => answer({ messages: [...session.messages] }),
});

export const getLastAssistantText = sessionCommand({
  type: 'get_last_assistant_text',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.session,
  decide: (_frame, session) => answer({ text: lastAssistantText(session.messages) }),
});

/** A page in order of creation. */
export const listSessions = serverCommand({
  type: 'list_sessions',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: {
    ...envelopes.server,
    cursor: classed(
      'operational',
      z
        .string({ error: CURSOR_TEXT })
        .regex(/^\d{1,16}:[a-zA-Z0-9_.-]{1,256}$/, { error: CURSOR_TEXT })
        .optional(),
    ),
    limit: limitField(LIST_MAX).optional(),
  },
  decide(frame, server) {
    const { cursor, limit = LIST_MAX } = frame;
    const page: SessionSummary[] = [];
    let more = false;
    for (const session of cursor === undefined ? server.sessions() : sessionsAfter(server, cursor)) {
      more = page.length === limit;
      if (more) break;
      page.push(session);
    }
    const data: JsonObject = { sessions: page.map(sessionInfo), total: server.sessionCount };
    const quarantined = [...server.quarantined()].map(({ id, offset, error }) => ({ sessionId: id, offset, error }));
    if (quarantined.length > 0) data['quarantined'] = quarantined;
    const last = page.at(-1);
    if (more && last !== undefined) data['nextCursor'] = cursorOf(last);
    return answer(data);
  },
});

function cursorOf(session: SessionSummary): string {
  return `${session.createdAt}:${session.id}`;
}

/**
 * What follows the session that a cursor names. If it was deleted meanwhile, the page starts with what was made in the same
 * millisecond: a session may be shown twice then, but none is left out.
 */
function* sessionsAfter(server: ServerView, cursor: string): Iterable<SessionSummary> {
  const at = cursor.indexOf(':');
  const sessions = server.sessions(cursor.slice(at + 1))[Symbol.iterator]();
  const first = sessions.next();
  if (first.done !== true && cursorOf(first.value) === cursor) {
    for (let next = sessions.next(); next.done !== true; next = sessions.next()) yield next.value;
    return;
  }
  const createdAt = Number(cursor.slice(0, at));
  for (const session of server.sessions()) if (session.createdAt >= createdAt) yield session;
}

/** The text of the newest assistant message that has any; null when there is none. */
function lastAssistantText(messages: readonly Json[]): string | null {
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index];
    if (!isObject(message) || message['role'] !== 'assistant') continue;
    const text = textOf(message['content']).trim();
    if (text !== '') return text;
  }
  return null;
}

function textOf(content: Json | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isObject(part) && part['type'] === 'text' ? String(part['text'] ?? '') : '')).join('');
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
