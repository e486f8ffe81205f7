/**
 * What the parts of the runtime share.
 *
 * `Shared` lasts as long as the server. The rest of a `Runtime` is folded from the journal, and is made anew as a whole when
 * that has to be read again (see `core.ts`): whoever still holds the old one can't touch the new one.
 */
import type { Counters } from './counters.ts';
import type { Deduplication } from './deduplication.ts';
import type { Host } from './host.ts';
import type { ExpiredSessions } from './expired-sessions.ts';
import type { JournalWriter } from './journal-writer.ts';
import type { Leases } from './leases.ts';
import type { Limits } from './limits.ts';
import type { ServerView } from './message.ts';
import type { Clock, Engine, Frames, Ids, Intake, Journal, Redaction, Telemetry } from './ports.ts';
import type { CommandEvent } from '../machines/command.ts';
import type { Command } from './command.ts';
import type { ReleaseQueue } from './release-queue.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface Shared {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly journal: Journal;
  readonly frames: Frames;
  readonly intake: Intake;
  readonly telemetry: Telemetry;
  readonly redaction?: Redaction | undefined;
  readonly limits: Limits;
  readonly defaultEngine: string;
  readonly engines: ReadonlyMap<string, Engine>;
  readonly fingerprint: (commandText: string) => string;
  readonly host: Host;
  readonly subscriptions: Subscriptions;
  readonly counters: Counters;
  readonly server: ServerView;
  /** Shows a step of a command's life to inspectors; unset while there are none. */
  onCommandStep: ((command: Command, step: CommandEvent['type']) => void) | undefined;
}

/** A mailbox, as the one that is told to replace it by itself sees it. */
export interface Replaceable {
  readonly id: string;
}

export interface Runtime extends Shared {
  readonly wheel: TimerWheel;
  readonly releases: ReleaseQueue;
  readonly writer: JournalWriter;
  readonly deduplication: Deduplication;
  readonly leases: Leases;
  readonly expired: ExpiredSessions;
  /** Something threw that never should. `mailbox`: only this one is in doubt; without it, everything that is folded is. */
  readonly crashed: (error: unknown, mailbox?: Replaceable) => void;
}
