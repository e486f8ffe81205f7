/**
 * One admitted command, from its admission to its outcome: the record behind the chart in `machines/command.ts`.
 *
 * State: durable where an entry was written for it, else gone with the process before anyone was told anything.
 */
import type { Connection } from './connection.ts';
import type { Names } from './names.ts';
import type { CommandContract, CommandFrame, Failure, Outcome, Principal } from './message.ts';
import type { CommandRef, ParsedCommand } from './ports.ts';
import type { Timer } from './timer-wheel.ts';

/** Someone who is to be answered when the command has its outcome, beside or instead of the one who sent it. */
export interface Waiter {
  readonly connection: Connection;
  /** The id of the frame that asks, absent if it had none. */
  readonly id: string | undefined;
  readonly replayed: boolean;
  /** Asked for an early answer. */
  readonly early: boolean;
}

export interface CommandIdentity {
  readonly commandId: string;
  readonly explicitId: boolean;
  readonly sessionId: string | undefined;
  readonly keyScope: string | undefined;
  readonly names: Names;
}

export class Command implements CommandRef {
  readonly contract: CommandContract;
  readonly frame: CommandFrame;
  readonly text: string;
  readonly principal: Principal;
  readonly commandId: string;
  readonly explicitId: boolean;
  /** The session it goes to; for a creation without an id, the one that was drawn at its admission. */
  readonly sessionId: string | undefined;
  readonly admittedAt: number;
  /** What its idempotency key is unique in. */
  readonly keyScope: string | undefined;
  /** Under what its outcome is known to those who ask again. */
  readonly names: Names;
  /** Null after a restart: the one who sent it is gone. */
  readonly origin: Connection | null;
  waiters: Waiter[];
  /** Absolute time of its timeout; unset while it can only be settled at once. */
  deadlineAt: number | undefined;
  timer: Timer | undefined;
  /** Only its dependencies hold it up. */
  awaitsDependencies = false;
  /** Ends its wait for dependencies. */
  dependencyTimer: Timer | undefined;
  /** Offset of its `command.accepted`, 0 without. */
  acceptedOffset = 0;
  /** `command_accepted` and `command_started` are on their way to those who watch. */
  accepted = false;
  started = false;
  /** It waits, or waited, behind others. */
  queued = false;
  /** The chart of its session's work lane knows of it. */
  inLane = false;
  /** It got as far as being looked at by its handler. */
  reachedHead = false;
  /** Starts that are journalled. */
  attempt = 0;
  /** Tries that brought its session, or the process, down. */
  crashes = 0;
  /** It is tried again after a crash: at the head of its lane the try is journalled before it is made. */
  announces = false;
  /** How many of its dependencies have no outcome yet. */
  unresolved = 0;
  /** Why a dependency will never be satisfied. */
  dependencyFailure: Failure | undefined;
  dependents: ((dependency: Command) => void)[] | undefined;
  outcome: Outcome | undefined;
  /** Its text lost something to redaction when it was stored: what this says is not what was asked. */
  redacted = false;
  /** It was admitted or taken back by this process, whose counters know it. */
  counted = true;
  /** Its answer is on its way to those who wait. */
  told = false;

  constructor(
    parsed: ParsedCommand,
    identity: CommandIdentity,
    principal: Principal,
    origin: Connection | null,
    admittedAt: number,
  ) {
    this.contract = parsed.contract;
    this.frame = parsed.frame;
    this.text = parsed.text;
    this.principal = principal;
    this.commandId = identity.commandId;
    this.explicitId = identity.explicitId;
    this.sessionId = identity.sessionId;
    this.keyScope = identity.keyScope;
    this.names = identity.names;
    this.origin = origin;
    this.admittedAt = admittedAt;
    this.waiters =
      origin === null
        ? []
        : [{ connection: origin, id: parsed.frame.id, replayed: false, early: parsed.frame.respond === 'accepted' }];
  }

  get commandType(): string {
    return this.contract.type;
  }

  get dependsOn(): readonly string[] | undefined {
    return this.frame.dependsOn;
  }

  get ifSessionVersion(): number | undefined {
    return this.frame.ifSessionVersion;
  }

  get idempotencyKey(): string | undefined {
    return this.frame.idempotencyKey;
  }

  get countsAsPending(): boolean {
    return countsAsPending(this.contract);
  }
}

/** Control is exempt from the limit of a connection's pending commands: an abort must always get through. */
export function countsAsPending({ lane }: CommandContract): boolean {
  return lane !== 'control';
}
