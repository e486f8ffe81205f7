/**
 * What a session is, as data: the fold of its journal entries (see `evolve.ts`), and nothing else. State: durable.
 */
import type { Json } from '../json.ts';
import type { Lease } from './lease-policy.ts';

export interface SessionState {
  readonly id: string;
  /** What its events are numbered in; a restore from a backup begins another one. */
  epoch: string;
  /** Its first epoch: what its idempotency keys are unique in. */
  readonly incarnation: string;
  /** The entry that opened it: what lies before it in the journal lane belongs to another incarnation. */
  readonly openedOffset: number;
  readonly owner: string;
  readonly engine: string;
  readonly input: Json;
  readonly cwd: string | null;
  readonly labels: Json;
  readonly createdAt: number;
  lastActivityAt: number;
  name: string | null;
  model: Json;
  thinkingLevel: string;
  /** Counts successful commands that changed the session. */
  version: number;
  /** Number of the last durable event in this epoch. */
  seq: number;
  /** Turns begun so far. */
  turns: number;
  readonly messages: Json[];
  /** Messages that wait for the next turn. */
  steers: Json[];
  followUps: Json[];
  /** The engine's handle of the last finished turn. */
  resume: Json;
  turn: OpenTurn | null;
  readonly lease: Lease;
  closed: string | null;
}

/** The running turn as its durable events tell it: what has to be closed when it ends early. */
export interface OpenTurn {
  readonly commandId: string;
  /** Tells its command from others: ids are unique per principal only. */
  readonly acceptedOffset: number;
  readonly attempt: number;
  agentOpen: boolean;
  turnOpen: boolean;
  readonly tools: { readonly toolCallId: string; readonly toolName: string }[];
  /** Index in `messages` of the first message of this turn. */
  readonly firstMessage: number;
}

/** A session as handlers see it. */
export type SessionView = Readonly<Omit<SessionState, 'messages'>> & {
  readonly messages: readonly Json[];
};
