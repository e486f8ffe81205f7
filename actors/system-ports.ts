/** What a runtime is made with: its ports, and what the wire's side says in its name. State: none. */
import type { Json, Principal, ServerView } from './message.ts';
import type { Clock, Engine, Frames, Ids, Intake, Journal, Redaction, Telemetry } from './ports.ts';

/** Everything that the runtime needs from outside. */
export interface SystemPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly journal: Journal;
  readonly engines: readonly Engine[];
  readonly frames: Frames;
  readonly intake: Intake;
  readonly telemetry: Telemetry;
  /** Absent: all is stored as it was said. */
  readonly redaction?: Redaction | undefined;
  /** Hex sha256 that tells two commands under one id apart; the journal's worker computes the same. */
  readonly fingerprint: (commandText: string) => string;
  /** What a new connection is told first, in order. */
  readonly greeting: (server: ServerView, connection: Greeted) => readonly Notice[];
  /** What all are told when the server has recovered while they were connected. */
  readonly announcement: (server: ServerView) => Notice;
}

export interface Greeted {
  readonly principal: Principal;
  readonly transport: string;
}

export interface Notice {
  readonly type: string;
  readonly data: Json;
}
