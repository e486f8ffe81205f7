/**
 * What happens in a session, in two kinds.
 *
 * A *session event* is what attached clients see. Durable events are journalled and numbered; ephemeral ones (streamed
 * deltas) are shown and forgotten. A *session fact* changes the session without being shown.
 */
import type { Json } from '../json.ts';
import type { LeasePolicy } from './lease-policy.ts';

/** What a session tells those who are attached to it; `type` says what it is about. */
export interface SessionEvent {
  readonly type: string;
  readonly [field: string]: Json;
}

export interface SessionOpened {
  readonly type: 'session.opened';
  readonly sessionId: string;
  readonly epoch: string;
  readonly owner: string;
  readonly engine: string;
  readonly input: Json;
  readonly name: string | null;
  readonly cwd: string | null;
  readonly labels: Json;
  readonly machineVersion: string;
  /** Absent in journals that are older than lifetimes. */
  readonly lease?: LeasePolicy;
}

export type SessionFact =
  | SessionOpened
  | { readonly type: 'session.closed'; readonly reason: string }
  | { readonly type: 'message.queued'; readonly mode: QueueMode; readonly message: Json }
  | { readonly type: 'queue.cleared' };

/** `steer` is inserted before the running turn's next step, `followUp` runs after its last one. */
export type QueueMode = 'steer' | 'followUp';

/**
 * Whose doing an event is, as far as the life of a session is concerned. `user` and `agent` are activity. `system` is what the
 * server says by itself, and what follows from a command that counts itself.
 */
export type EventActivity = 'user' | 'agent' | 'system';

interface EventClass {
  /** Gets a sequence number and can be resumed; all others are shown and forgotten. */
  readonly durable: boolean;
  readonly activity: EventActivity;
}

const progress = { durable: true, activity: 'agent' } as const;
const noise = { durable: true, activity: 'system' } as const;
/** Not journalled, so it can't count, whoever it comes from: what it leads to does. */
const passing = { durable: false, activity: 'system' } as const;

/** Every type of event that this server knows. */
export const eventClasses = {
  agent_start: progress,
  agent_end: progress,
  turn_start: progress,
  turn_end: progress,
  message_end: progress,
  tool_execution_start: progress,
  tool_execution_end: progress,
  /** The agent has got as far as a question. The answer is a command, and counts as one. */
  extension_ui_request: progress,
  ui_request_resolved: noise,
  session_changed: noise,
  session_expiring: noise,
  message_start: passing,
  message_update: passing,
  tool_execution_update: passing,
  auto_retry_start: passing,
  auto_retry_end: passing,
  compaction_start: passing,
  compaction_end: passing,
  notify: passing,
  status: passing,
  session_extended: passing,
} as const satisfies Record<string, EventClass>;

/** What an engine says that nobody has classified is shown and forgotten: it is never kept, and keeps nothing alive. */
function classOf(type: string): EventClass {
  return Object.hasOwn(eventClasses, type) ? eventClasses[type as keyof typeof eventClasses] : passing;
}

/** Durable events get a sequence number and can be resumed; all others are ephemeral. */
export function isDurable(event: SessionEvent): boolean {
  return classOf(event.type).durable;
}

export function activityOf(eventType: string): EventActivity {
  return classOf(eventType).activity;
}
