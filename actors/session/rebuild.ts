/**
 * Brings one session into memory: a passive one when somebody asks for it, and one in which a defect showed, whose journal lane
 * is folded again, what ran is classified, and what waited goes on.
 *
 * The command that acted is tried again until `attemptsMax`: nothing of a try is left but what it recorded, and what has an
 * outcome in the journal is not tried. State: rebuildable.
 */
import type { Command } from '../command.ts';
import type { CommandAccepted, CommandFinished, CommandSettled, Entry } from '../entry.ts';
import { failure } from '../message.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import { closingEvents } from './evolve.ts';
import type { Frozen } from './frozen.ts';
import { LaneReading } from './lane-reading.ts';
import type { Mailbox } from './mailbox.ts';

/** A lease that is due waits so long for a journal that can't be read. */
const TRIED_AGAIN_MS = 10_000;

type End = CommandSettled | CommandFinished;

/** `mailbox` takes the place of the one that was frozen, and waits with what that held. */
export function rebuildSession(
  runtime: Runtime,
  outcomes: Outcomes,
  mailbox: Mailbox,
  frozen: Frozen,
  error: string,
  rebuilt: () => void,
): void {
  const { releases, writer } = runtime;
  // What the session recorded before the defect showed is true, and shown as soon as it is durable.
  releases.hold(writer.newestBatch, () => {
    const ends = new Map<Command, End>();
    const fold = new LaneReading(runtime, mailbox);
    // What memory was taken from, too, may be what the defect had touched: folded anew, it is what its entries say.
    fold
      .run({ anew: true, onEntry: (entry) => note(entry, frozen.commands, ends) })
      .then(
        () => mailbox.guard(() => resume(runtime, outcomes, mailbox, fold, frozen, ends, error)),
        // The journal can't even be read: not this session alone is in doubt.
        (failed: unknown) => runtime.crashed(failed),
      )
      .then(rebuilt, rebuilt);
  });
}

/** A passive session comes into memory: what came for it waits at the gate of `mailbox` until then. */
export function activateSession(runtime: Runtime, outcomes: Outcomes, mailbox: Mailbox, over: () => void): void {
  const fold = new LaneReading(runtime, mailbox);
  fold
    .run()
    .then(
      () => {
        mailbox.guard(() => {
          runtime.writer.adopt(fold.lane, fold.laneSeq);
          mailbox.take(fold);
          mailbox.endOverdue();
          mailbox.rebuilt(undefined);
        });
        // Given up in the last moment, it took nothing.
        if (mailbox.isFrozen && mailbox.session !== fold.session) fold.drop();
      },
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        runtime.telemetry.observe({ level: 'error', message: 'session not read', error: text, sessionId: mailbox.id });
        // Should its lease be due, it is looked at again.
        if (runtime.leases.started) runtime.leases.arm(mailbox.id, runtime.clock.now() + TRIED_AGAIN_MS);
        const refusal = failure('JOURNAL_UNAVAILABLE', `The session can not be read now: ${text}`);
        mailbox.guard(() => {
          for (const command of mailbox.unread())
            if (command.outcome === undefined) outcomes.withdraw(command, refusal);
        });
      },
    )
    .then(over, over);
}

/** What the journal holds of the commands that were under way. */
function note(entry: Entry, commands: readonly Command[], ends: Map<Command, End>): void {
  const ended = commands.find((command) => isEndOf(entry, command));
  if (ended !== undefined) ends.set(ended, entry as End);
  if (entry.kind === 'command.accepted') recognize(entry, commands);
}

/** A defect may have shown between the entry that accepts a command and the note of it. */
function recognize(entry: CommandAccepted, commands: readonly Command[]): void {
  const found = commands.find((command) => isSame(entry, command) && command.acceptedOffset === 0);
  if (found !== undefined) found.acceptedOffset = entry.offset;
}

function isSame(entry: CommandAccepted | CommandSettled, command: Command): boolean {
  return entry.commandId === command.commandId && entry.principal === command.principal.id;
}

function isEndOf(entry: Entry, command: Command): boolean {
  if (entry.kind === 'command.finished') return entry.acceptedOffset === command.acceptedOffset;
  if (entry.kind !== 'command.settled' || command.acceptedOffset !== 0) return false;
  return isSame(entry, command);
}

function resume(
  runtime: Runtime,
  outcomes: Outcomes,
  mailbox: Mailbox,
  fold: LaneReading,
  frozen: Frozen,
  ends: ReadonlyMap<Command, End>,
  error: string,
): void {
  const { session } = fold;
  // The defect may have shown while the session was on its way into memory: then nobody has asked where its lane ends.
  if (fold.laneSeq > 0 && !runtime.writer.knows(fold.lane)) runtime.writer.adopt(fold.lane, fold.laneSeq);
  mailbox.take(fold);
  runtime.subscriptions.reconcile(mailbox.id, session?.state);
  let retried: Command | undefined;
  for (const command of frozen.commands) {
    // What it was told of its acceptance counts only with the entry.
    if (command.contract.journalled && command.acceptedOffset === 0) command.accepted = false;
    const end = ends.get(command);
    if (end !== undefined) {
      outcomes.restore(command, end);
    } else if (command.outcome !== undefined) {
      // A read: it has its answer, and nothing to show for it in the journal.
      outcomes.tellStored(command, command.outcome, undefined);
    } else if (session?.state?.turn != null && session.state.turn.acceptedOffset === command.acceptedOffset) {
      const text = `Command '${command.commandType}' was interrupted: its session failed and was rebuilt: ${error}`;
      const events = closingEvents(session.state, text);
      const outcome = failure('INTERRUPTED', text, { reason: 'session rebuilt' });
      const held = frozen.run === undefined ? {} : { interrupted: true as const };
      outcomes.settle(command, { outcome, events, recovered: 'session rebuilt', ...held }, session);
    } else if (command === frozen.acting) {
      command.crashes += 1;
      if (command.crashes < runtime.limits.attemptsMax) retried = command.reachedHead ? command : undefined;
      else outcomes.settle(command, { outcome: quarantined(command, error), recovered: 'quarantined' }, session);
    }
  }
  const holder = session?.engineHolder;
  if (frozen.run !== undefined && holder === frozen.run.command.commandId) mailbox.adoptRun(frozen.run);
  else if (session !== undefined && holder !== undefined) {
    session.record({ kind: 'turn.released', sessionId: session.id, commandId: holder, content: {} });
  }
  mailbox.rebuilt(retried);
}

/** How a command ends that fails its session, or the process, whenever it acts. */
export function quarantined(command: Command, error: string): ReturnType<typeof failure> {
  const text = `Command '${command.commandType}' failed ${command.crashes} times and is not tried again: ${error}`;
  return failure('COMMAND_QUARANTINED', text, { attempts: command.crashes });
}
