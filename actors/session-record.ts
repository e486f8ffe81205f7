/**
 * What is kept of a session that is not in memory: what lists show of it, and what it is known by.
 *
 * One short text a session, because there may be a hundred thousand of them: an object with as many fields would take four
 * times the room. A field more is a line here, and one in `recordOf`; texts of before are read all the same. Pure.
 */
import { dueAt } from './session/lease.ts';
import type { SessionView } from './session/session-state.ts';

/** What lists show of a session, be it in memory or not. */
export interface SessionSummary {
  readonly id: string;
  readonly epoch: string;
  readonly incarnation: string;
  readonly owner: string;
  readonly engine: string;
  readonly createdAt: number;
  readonly lastActivityAt: number;
  readonly name: SessionView['name'];
  readonly model: SessionView['model'];
  readonly thinkingLevel: string;
  readonly version: number;
  /** Number of the last durable event in this epoch. */
  readonly seq: number;
  readonly messageCount: number;
  readonly isStreaming: boolean;
  /** When it ends, and when something is to be done about that next. */
  readonly deadlineAt: number;
  readonly dueAt: number;
  /** Nobody who made it was told that it ends. */
  readonly inherited: boolean;
}

/** What is known of a session that is not in memory. */
export interface SessionRecord extends SessionSummary {
  /** Where its journal lane ends. */
  readonly laneSeq: number;
}

/** In this order in the text; new ones at the end. */
const FIELDS = [
  'epoch',
  'incarnation',
  'owner',
  'engine',
  'createdAt',
  'lastActivityAt',
  'name',
  'model',
  'thinkingLevel',
  'version',
  'seq',
  'messageCount',
  'isStreaming',
  'deadlineAt',
  'dueAt',
  'inherited',
  'laneSeq',
] as const satisfies readonly Exclude<keyof SessionRecord, 'id'>[];

export function summaryOf(state: SessionView): SessionSummary {
  const { id, epoch, incarnation, owner, engine, createdAt, lastActivityAt, name, model, thinkingLevel, version, seq } =
    state;
  const { lease, messages, turn } = state;
  const counts = { messageCount: messages.length, isStreaming: turn !== null };
  const times = { deadlineAt: lease.deadlineAt, dueAt: dueAt(lease), inherited: lease.inherited };
  return {
    ...{ id, epoch, incarnation, owner, engine, createdAt, lastActivityAt },
    ...{ name, model, thinkingLevel, version, seq, ...counts, ...times },
  };
}

export function recordOf(state: SessionView, laneSeq: number): string {
  const summary: SessionRecord = { ...summaryOf(state), laneSeq };
  return JSON.stringify(FIELDS.map((field) => summary[field]));
}

interface Rules {
  state<Fields extends Partial<SessionView>>(fields: Fields): Fields;
}

/** One that was stored when other rules held, or none: it is stored again, as those of now leave it. */
export function redactRecord(record: string, rules: Rules): string {
  if (record === '') return record;
  const summary = readRecord('', record);
  const { name, model } = summary;
  const left = rules.state({ name, model });
  if (left.name === name && left.model === model) return record;
  return JSON.stringify(FIELDS.map((field) => ({ ...summary, ...left })[field]));
}

export function readRecord(id: string, record: string): SessionRecord {
  const values = JSON.parse(record) as unknown[];
  return { id, ...Object.fromEntries(FIELDS.map((field, index) => [field, values[index]])) } as SessionRecord;
}
