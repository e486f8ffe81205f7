/**
 * The fold: what an entry makes of a session.
 *
 * Used live and at recovery alike, so what a restart rebuilds equals what was there, by construction. Pure but for changing the
 * state it is given: a copy per command would cost more than the command.
 */
import type {
  CommandFinished,
  CommandSettled,
  CommandStarted,
  Entry,
  LeaseExtended,
  SessionEventEntry,
} from '../entry.ts';
import type { Json } from '../json.ts';
import type { SessionEvent, SessionFact, SessionOpened } from './event.ts';
import { isActivity, openLease } from './lease.ts';
import type { Lease } from './lease-policy.ts';
import type { SessionState, SessionView } from './session-state.ts';

/** Of these events, what happened is all that is folded: they are long, and need not even be read. */
const TOLD_BY_TYPE: ReadonlySet<string> = new Set([
  'agent_start',
  'agent_end',
  'turn_start',
  'turn_end',
  'extension_ui_request',
  'ui_request_resolved',
  'session_expiring',
]);

/** Folds one entry of the session's journal lane. `undefined` in and out: there is no such session. */
export function evolve(before: SessionState | undefined, entry: Entry): SessionState | undefined {
  const state = evolveBy(before, entry);
  if (state === undefined || !isActivity(entry)) return state;
  // Before there were lifetimes only commands counted: what such a journal said then, it says now.
  if (entry.kind !== 'session.event' || !state.lease.inherited) state.lastActivityAt = entry.at;
  return state;
}

function evolveBy(state: SessionState | undefined, entry: Entry): SessionState | undefined {
  switch (entry.kind) {
    case 'command.settled':
    case 'command.finished':
      return settle(state, entry);
    case 'command.started':
      if (state !== undefined && entry.content.turn !== undefined) beginTurn(state, entry);
      return state;
    case 'session.event':
      if (state !== undefined) {
        state.seq = entry.seq;
        applyEventOf(state, entry);
      }
      return state;
    case 'turn.released':
      if (state !== undefined && entry.content.resume !== undefined) state.resume = entry.content.resume;
      return state;
    case 'lease.extended':
      if (state !== undefined) extendLease(state.lease, entry);
      return state;
    case 'session.restored':
      if (state !== undefined) state.epoch = entry.epoch;
      return state;
    case 'session.expired':
      if (state !== undefined) state.closed = 'expired';
      return state;
    case 'session.purged':
      if (state !== undefined) state.closed = 'purged';
      return state;
    case 'lane.compacted':
      // Whoever folded what is in front of it knows it all.
      return state ?? resumeFrom(entry.content.state);
    case 'command.accepted':
    case 'server.started':
    case 'server.recovered':
    case 'server.stopped':
    case 'journal.restored':
    case 'read.audited':
    case 'housekeeping.finished':
      return state;
    default:
      return entry satisfies never;
  }
}

/** The text of what folds: what was folded by another one is not taken over. A test counts its functions. */
export function evolveSource(): string {
  const own = [evolve, evolveBy, settle, applyFact, resumeFrom, openSession, extendLease, beginTurn];
  const events = [applyEventOf, applyEvent, applyChange, [...TOLD_BY_TYPE]];
  return [...own, ...events, isActivity, openLease].map(String).join('\n');
}

function settle(before: SessionState | undefined, entry: CommandSettled | CommandFinished): SessionState | undefined {
  let state = before;
  const { facts, events } = entry.content;
  if (state !== undefined && events !== undefined) for (const event of events) applyEvent(state, event);
  // The turn ends before the facts take effect: a message that it left behind waits for the next one.
  if (entry.kind === 'command.finished' && state?.turn?.acceptedOffset === entry.acceptedOffset) state.turn = null;
  if (facts !== undefined) for (const fact of facts) state = applyFact(state, fact, entry);
  if (state === undefined) return undefined;
  if (entry.seq !== undefined) state.seq = entry.seq;
  if (entry.sessionVersion !== undefined) state.version = entry.sessionVersion;
  if (entry.kind === 'command.finished' && entry.content.resume !== undefined) state.resume = entry.content.resume;
  return state;
}

function applyFact(state: SessionState | undefined, fact: SessionFact, entry: Entry): SessionState | undefined {
  if (fact.type === 'session.opened') return openSession(fact, entry.at, entry.offset);
  if (state === undefined) return undefined;
  switch (fact.type) {
    case 'session.closed':
      state.closed = fact.reason;
      return state;
    case 'message.queued':
      // A running turn gets it at once; only what comes between turns is kept.
      if (state.turn === null) (fact.mode === 'steer' ? state.steers : state.followUps).push(fact.message);
      return state;
    case 'queue.cleared':
      state.steers = [];
      state.followUps = [];
      return state;
    default:
      return fact satisfies never;
  }
}

/** What it did not know yet when it was written is as a creation leaves it. */
function resumeFrom(state: SessionState | undefined): SessionState | undefined {
  if (state === undefined) return undefined;
  const { createdAt, openedOffset, id: sessionId, lease } = state;
  const fact = { ...state, type: 'session.opened' as const, sessionId, machineVersion: '', lease: lease.policy };
  return { ...openSession(fact, createdAt, openedOffset), ...structuredClone(state) };
}

/** A session as its creation leaves it. */
export function openSession(fact: SessionOpened, at: number, offset: number): SessionState {
  return {
    id: fact.sessionId,
    epoch: fact.epoch,
    incarnation: fact.epoch,
    openedOffset: offset,
    owner: fact.owner,
    engine: fact.engine,
    input: fact.input,
    cwd: fact.cwd,
    labels: fact.labels,
    createdAt: at,
    lastActivityAt: at,
    name: fact.name,
    model: null,
    thinkingLevel: 'off',
    version: 0,
    seq: 0,
    turns: 0,
    messages: [],
    steers: [],
    followUps: [],
    resume: null,
    turn: null,
    lease: openLease(fact.lease, at),
    closed: null,
  };
}

function extendLease(lease: Lease, { deadlineAt, extensions, at }: LeaseExtended): void {
  lease.deadlineAt = deadlineAt;
  lease.extensions = extensions;
  lease.extendedAt = at;
  lease.announced = false;
  lease.inherited = false;
}

/** What waited for this turn goes to the engine with its start. */
function beginTurn(state: SessionState, { commandId, acceptedOffset, attempt }: CommandStarted): void {
  state.turns += 1;
  state.steers = [];
  state.followUps = [];
  state.turn = {
    commandId,
    acceptedOffset,
    attempt,
    agentOpen: false,
    turnOpen: false,
    tools: [],
    firstMessage: state.messages.length,
  };
}

function applyEventOf(state: SessionState, entry: SessionEventEntry): void {
  if (TOLD_BY_TYPE.has(entry.eventType)) applyEvent(state, { type: entry.eventType });
  else applyEvent(state, entry.content.event);
}

function applyEvent(state: SessionState, event: SessionEvent): void {
  const turn = state.turn;
  switch (event.type) {
    case 'agent_start':
    case 'agent_end':
      if (turn !== null) turn.agentOpen = event.type === 'agent_start';
      break;
    case 'turn_start':
    case 'turn_end':
      if (turn !== null) turn.turnOpen = event.type === 'turn_start';
      break;
    case 'tool_execution_start':
      turn?.tools.push({
        toolCallId: String(event['toolCallId']),
        toolName: String(event['toolName']),
      });
      break;
    case 'tool_execution_end': {
      const index = turn?.tools.findIndex((tool) => tool.toolCallId === event['toolCallId']) ?? -1;
      if (index >= 0) turn?.tools.splice(index, 1);
      break;
    }
    case 'message_end':
      if (event['message'] !== undefined) state.messages.push(event['message']);
      break;
    case 'session_changed':
      applyChange(state, event['fields']);
      break;
    case 'session_expiring':
      state.lease.announced = true;
      state.lease.inherited = false;
      break;
    default:
      break;
  }
}

function applyChange(state: SessionState, fields: Json | undefined): void {
  if (fields === null || typeof fields !== 'object' || Array.isArray(fields)) return;
  if (typeof fields['name'] === 'string') state.name = fields['name'];
  if (fields['model'] !== undefined) state.model = fields['model'];
  if (typeof fields['thinkingLevel'] === 'string') state.thinkingLevel = fields['thinkingLevel'];
}

/**
 * The events that end a turn for its clients when it did not end by itself: the unfinished message if one was streaming,
 * open tools as failed, then the turn and the run. Every `_start` that was seen gets its `_end`.
 */
export function closingEvents(
  state: SessionView,
  reason: string,
  unfinished?: { [key: string]: Json },
): SessionEvent[] {
  const turn = state.turn;
  if (turn === null) return [];
  const events: SessionEvent[] = [];
  const partial: Json =
    unfinished?.['role'] === 'assistant' ? { ...unfinished, stopReason: 'aborted' } : (unfinished ?? null);
  if (partial !== null) events.push({ type: 'message_end', message: partial });
  for (const tool of turn.tools) {
    const result = { content: [{ type: 'text', text: reason }] };
    events.push({ type: 'tool_execution_end', ...tool, result, isError: true });
  }
  const last = partial ?? state.messages.at(-1) ?? null;
  if (turn.turnOpen) events.push({ type: 'turn_end', message: last, toolResults: [] });
  if (turn.agentOpen) {
    const messages = [...state.messages.slice(turn.firstMessage), ...(partial === null ? [] : [partial])];
    events.push({ type: 'agent_end', messages });
  }
  return events;
}
