/**
 * The acceptance of a command that has to wait: an entry of its own, a deadline, and `command_accepted` for those who watch.
 *
 * A command that acts at once is accepted, started and finished by one entry and never comes here.
 */
import type { Command } from '../command.ts';
import { SERVER_LANE } from '../entry.ts';
import type { CommandAccepted, EntryDraft } from '../entry.ts';
import { identify } from '../outcomes.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import type { Deadlines } from './deadlines.ts';
import type { Session } from './session.ts';

export class Acceptance {
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #deadlines: Deadlines;

  constructor(runtime: Runtime, outcomes: Outcomes, deadlines: Deadlines) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#deadlines = deadlines;
  }

  /** Once per command. Reads are told so and not journalled; without a session the entry is the server's. */
  accept(command: Command, session: Session | undefined): void {
    if (command.accepted) return;
    command.accepted = true;
    this.#deadlines.set(command);
    if (command.contract.journalled && command.acceptedOffset === 0)
      this.#record(command, session?.state === undefined ? undefined : session);
    const { frames, subscriptions, writer } = this.#runtime;
    this.#outcomes.hold(command.origin, writer.newestBatch, () => {
      subscriptions.announceLifecycle(frames.accepted(command), command.origin);
      this.#deadlines.arm(command);
    });
    session?.showExtension();
  }

  /**
   * A command that acted when a defect showed is tried again. The attempt is the server's fact, not the session's: of the
   * session nothing has changed, and should the process end in it, the next boot counts it.
   */
  retry(command: Command, session: Session | undefined): void {
    this.accept(command, session);
    command.attempt += 1;
    const { commandId, acceptedOffset, attempt, sessionId } = command;
    const ids = sessionId === undefined ? { commandId } : { commandId, sessionId };
    this.#runtime.writer.append(SERVER_LANE, {
      kind: 'command.started',
      ...ids,
      acceptedOffset,
      attempt,
      content: {},
    });
  }

  /** The lane's chart hears of work once: by the entry that accepts it, or here if that was before the session existed. */
  enterLane(command: Command, session: Session | undefined): void {
    this.accept(command, session);
    if (command.inLane || session?.state === undefined) return;
    command.inLane = true;
    session.enterLane(command.acceptedOffset, command.commandId, command.deadlineAt);
  }

  /** Tells inspectors once, though a command may wait at the gate first and in its lane then. */
  tellQueued(command: Command): void {
    if (command.queued) return;
    command.queued = true;
    this.#runtime.onCommandStep?.(command, 'command.queued');
  }

  #record(command: Command, session: Session | undefined): void {
    const content = { command: command.text };
    const draft: { -readonly [K in keyof CommandAccepted]?: CommandAccepted[K] } = {
      kind: 'command.accepted',
      content,
    };
    identify(draft, command);
    if (command.deadlineAt !== undefined) draft.deadlineAt = command.deadlineAt;
    const accepted = draft as EntryDraft;
    const { writer } = this.#runtime;
    command.inLane = session !== undefined && command.contract.lane === 'work';
    command.acceptedOffset = (session?.record(accepted) ?? writer.append(SERVER_LANE, accepted)).offset;
  }
}

/** It acts: what only fails for a dependency does not. */
export function mustAnnounce(command: Command): boolean {
  return command.announces && command.dependencyFailure === undefined;
}
