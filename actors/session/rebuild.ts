/**
 * Rebuilds one session in place after a defect showed in it: its journal lane is folded again, what ran is classified, and
 * what waited goes on.
 *
 * The command that acted is tried again until `attemptsMax`: nothing of a try is left but what it recorded, and what has an
 * outcome in the journal is not tried. State: rebuildable.
 */
import type { Command } from '../command.ts';
import { sessionLane } from '../entry.ts';
import type { CommandAccepted, CommandFinished, CommandSettled, Entry } from '../entry.ts';
import { failure } from '../message.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import { closingEvents } from './evolve.ts';
import { foldEntry } from './fold.ts';
import type { Frozen } from './frozen.ts';
import type { Mailbox } from './mailbox.ts';

const PAGE_ENTRIES = 4096;

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
    foldLane(runtime, mailbox, frozen.commands)
      .then(
        (ends) => mailbox.guard(() => resume(runtime, outcomes, mailbox, frozen, ends, error)),
        // The journal can't even be read: not this session alone is in doubt.
        (failed: unknown) => runtime.crashed(failed),
      )
      .then(rebuilt, rebuilt);
  });
}

/** What the journal holds of the commands that were under way. */
async function foldLane(
  runtime: Runtime,
  mailbox: Mailbox,
  commands: readonly Command[],
): Promise<ReadonlyMap<Command, End>> {
  const lane = sessionLane(mailbox.id);
  const ends = new Map<Command, End>();
  for (let after = 0; ;) {
    const page = await runtime.journal.scan({ after, limit: PAGE_ENTRIES, lane });
    const last = page.at(-1);
    // Given up meanwhile: what is made of it now would be stopped by nobody.
    if (last === undefined || mailbox.isFrozen) return ends;
    after = last.entry.offset;
    for (const { entry } of page) {
      const ended = commands.find((command) => isEndOf(entry, command));
      if (ended !== undefined) ends.set(ended, entry as End);
      if (entry.kind === 'command.accepted') recognize(entry, commands);
      foldEntry(runtime, mailbox, entry);
    }
  }
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
  frozen: Frozen,
  ends: ReadonlyMap<Command, End>,
  error: string,
): void {
  const { session } = mailbox;
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
