/**
 * The root of the runtime: wires the router, the journal writer, the release queue and the connections, boots through
 * recovery, and drains. State: rebuildable (from the journal).
 */
import type { Limits } from "./limits.ts";
import type { RecoverySummary } from "./message.ts";
import type {
  Clock,
  Engine,
  Frames,
  Ids,
  Intake,
  Journal,
  Reception,
  Telemetry,
} from "./ports.ts";

export interface SystemPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly journal: Journal;
  readonly engines: readonly Engine[];
  readonly frames: Frames;
  readonly intake: Intake;
  readonly telemetry: Telemetry;
  /** Hex sha256 that tells two commands under one id apart; the journal's worker computes the same. */
  readonly fingerprint: (commandText: string) => string;
}

export interface SystemOptions {
  readonly serverVersion: string;
  readonly protocolVersion: string;
  readonly transports: readonly string[];
  /** The engine of a session that names none. */
  readonly defaultEngine: string;
  readonly limits: Limits;
  /** Called once when the journal can't be written any more: the process has to end, nothing unacknowledged was shown. */
  readonly onFatal: (error: Error) => void;
}

export interface System extends Reception {
  /** Opens the journal and recovers. @throws JournalRefused */
  start(): Promise<RecoverySummary>;
  /** Refuses new commands, lets running turns finish for `limits.drainMs`, ends the rest, closes sockets and journal. */
  drain(): Promise<void>;
}
