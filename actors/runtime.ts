/** What the parts of the runtime share. One per server; made in `system.ts`. */
import type { Counters } from './counters.ts';
import type { Deduplication } from './deduplication.ts';
import type { Host } from './host.ts';
import type { JournalWriter } from './journal-writer.ts';
import type { Limits } from './limits.ts';
import type { ServerView } from './message.ts';
import type { Clock, Engine, Frames, Ids, Intake, Journal, Telemetry } from './ports.ts';
import type { CommandEvent } from '../machines/command.ts';
import type { Command } from './command.ts';
import type { ReleaseQueue } from './release-queue.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface Runtime {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly journal: Journal;
  readonly frames: Frames;
  readonly intake: Intake;
  readonly telemetry: Telemetry;
  readonly limits: Limits;
  readonly defaultEngine: string;
  readonly engines: ReadonlyMap<string, Engine>;
  readonly fingerprint: (commandText: string) => string;
  readonly host: Host;
  readonly wheel: TimerWheel;
  readonly releases: ReleaseQueue;
  readonly writer: JournalWriter;
  readonly deduplication: Deduplication;
  readonly subscriptions: Subscriptions;
  readonly counters: Counters;
  readonly server: ServerView;
  /** Shows a step of a command's life to inspectors; unset while there are none. */
  onCommandStep: ((command: Command, step: CommandEvent['type']) => void) | undefined;
}
