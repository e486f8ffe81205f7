/**
 * What happens in a session, in two kinds.
 *
 * A *session event* is what attached clients see. Durable events are journalled and numbered; ephemeral ones (streamed
 * deltas) are shown and forgotten. A *session fact* changes the session without being shown.
 */
import type { Json } from '../json.ts';

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
}

export type SessionFact =
  | SessionOpened
  | { readonly type: 'session.closed'; readonly reason: string }
  | { readonly type: 'message.queued'; readonly mode: QueueMode; readonly message: Json }
  | { readonly type: 'queue.cleared' };

/** `steer` is inserted before the running turn's next step, `followUp` runs after its last one. */
export type QueueMode = 'steer' | 'followUp';

const DURABLE_EVENTS: ReadonlySet<string> = new Set([
  'agent_start',
  'agent_end',
  'turn_start',
  'turn_end',
  'message_end',
  'tool_execution_start',
  'tool_execution_end',
  'extension_ui_request',
  'ui_request_resolved',
  'session_changed',
  'session_expiring',
]);

/** Durable events get a sequence number and can be resumed; all others are ephemeral. */
export function isDurable(event: SessionEvent): boolean {
  return DURABLE_EVENTS.has(event.type);
}
