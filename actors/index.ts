/**
 * The runtime, for those who compose a server of their own: the system that runs sessions, and the ports that it needs from
 * outside. `createServer` of the package's main entry is this system with the adapters that come along.
 */
export { SERVER_LANE, sessionLane } from './entry.ts';
export type {
  Entry,
  EntryKind,
  JournalProblem,
  JournalReader,
  JournalReport,
  MailboxLane,
  StoredEntry,
} from './entry.ts';
export type { Limits } from './limits.ts';
export { failure } from './message.ts';
export type {
  CommandContract,
  CommandFrame,
  Decision,
  Failure,
  Json,
  Outcome,
  Principal,
  RecoverySummary,
  Scope,
  ServerCommandContract,
  ServerView,
  SessionCommandContract,
  SessionSpec,
  SessionView,
  Success,
} from './message.ts';
export { JournalRefused } from './ports.ts';
export type {
  Clock,
  CommandRef,
  Engine,
  Frames,
  Ids,
  Intake,
  Journal,
  JournalHead,
  Observation,
  Outlet,
  ParsedCommand,
  Peer,
  Reception,
  RefusedFrame,
  Telemetry,
  TurnHandle,
  TurnRequest,
  TurnResult,
} from './ports.ts';
export { isDurable } from './session/event.ts';
export type { SessionEvent } from './session/event.ts';
export { createSystem } from './system.ts';
export type { System, SystemOptions, SystemPorts } from './system.ts';
