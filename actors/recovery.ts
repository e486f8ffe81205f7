/**
 * A boot: opens the journal, folds it into outcomes, keys, versions and sessions, classifies what was in flight, makes the
 * classification durable and takes work that never started back into its lanes.
 *
 * Each classification is an entry, so the next boot finds nothing to classify, however often it is repeated. State:
 * rebuildable.
 */
import type { Actor } from 'xstate';
import { recoveryMachine } from '../machines/recovery.ts';
import { Command } from './command.ts';
import { namesOf } from './names.ts';
import type { Names } from './names.ts';
import { SERVER_LANE, sessionLane } from './entry.ts';
import type { CommandAccepted, CommandFinished, CommandSettled, Entry } from './entry.ts';
import { failure } from './message.ts';
import type { CommandContract, Failure, Principal, RecoveredCommand, RecoverySummary } from './message.ts';
import type { ParsedCommand } from './ports.ts';
import type { Router } from './router.ts';
import type { Runtime } from './runtime.ts';
import { timeout } from './session/deadlines.ts';
import { closingEvents } from './session/evolve.ts';
import { Session } from './session/session.ts';

const PAGE_ENTRIES = 4096;

/** A command that has no outcome in the journal. */
interface InFlight {
  readonly accepted: CommandAccepted;
  /** Attempts that were started. */
  attempts: number;
}

/** Whoever sent a command of an earlier boot was authorized then. */
const EVERY_SCOPE = ['observe', 'drive', 'approve', 'exec', 'operate'] as const;

export class Recovery {
  readonly #runtime: Runtime;
  readonly #router: Router;
  readonly #actor: Actor<typeof recoveryMachine>;
  readonly #inFlight = new Map<number, InFlight>();
  readonly #lanes = new Map<string, number>();
  readonly #requeued: Command[] = [];
  readonly #classified: RecoveredCommand[] = [];
  #boot = 1;
  #entries = 0;
  #outcomes = 0;

  constructor(runtime: Runtime, router: Router) {
    this.#runtime = runtime;
    this.#router = router;
    this.#actor = runtime.host.start(recoveryMachine, 'recovery', undefined);
  }

  /** @throws JournalRefused, or what the journal failed with; nothing is live then. */
  async run(serverVersion: string): Promise<RecoverySummary> {
    const { clock, host, journal, writer } = this.#runtime;
    const startedAt = clock.now();
    try {
      const head = await journal.open();
      this.#tell({ type: 'journal.opened', entries: head.offset });
      await this.#fold();
      writer.resume(head.offset, this.#lanes);
      this.#tell({ type: 'journal.folded' });
      writer.append(SERVER_LANE, { kind: 'server.started', boot: this.#boot, serverVersion, content: {} });
      this.#classify();
      this.#tell({ type: 'work.classified', commands: this.#classified.length });
      const counts = { classified: this.#classified.length, requeued: this.#requeued.length };
      writer.append(SERVER_LANE, { kind: 'server.recovered', boot: this.#boot, ...counts, content: {} });
      await writer.settled();
    } catch (error) {
      this.#tell({ type: 'journal.refused' });
      host.stop(this.#actor);
      throw error;
    }
    // Counted before work is taken back: a creation among it makes a session that was not recovered.
    const sessions = this.#router.sessionCount;
    this.#tell({ type: 'classification.committed' });
    host.stop(this.#actor);
    return {
      boot: this.#boot,
      journal: journal.location,
      durable: journal.durability === 'durable',
      entriesScanned: this.#entries,
      sessions,
      recoveredOutcomes: this.#outcomes,
      classified: this.#classified,
      requeued: this.#requeued.length,
      startedAt,
      tookMs: clock.now() - startedAt,
    };
  }

  #tell(event: Parameters<Actor<typeof recoveryMachine>['send']>[0]): void {
    const intents = this.#runtime.host.collect(() => this.#actor.send(event));
    for (const intent of intents) if (intent.type === 'requeueWork') this.#router.requeue(this.#requeued);
  }

  async #fold(): Promise<void> {
    const { journal } = this.#runtime;
    for (let after = 0; ;) {
      const page = await journal.scan({ after, limit: PAGE_ENTRIES });
      const last = page.at(-1);
      if (last === undefined) return;
      for (const { entry } of page) this.#foldEntry(entry);
      after = last.entry.offset;
      this.#entries += page.length;
      this.#tell({ type: 'page.folded', entries: page.length });
    }
  }

  #foldEntry(entry: Entry): void {
    this.#lanes.set(entry.lane, entry.laneSeq);
    switch (entry.kind) {
      case 'server.started':
        this.#boot = entry.boot + 1;
        return;
      case 'command.accepted':
        this.#inFlight.set(entry.offset, { accepted: entry, attempts: 0 });
        break;
      case 'command.started': {
        const command = this.#inFlight.get(entry.acceptedOffset);
        if (command !== undefined) command.attempts = entry.attempt;
        break;
      }
      case 'command.settled':
        this.#restore(entry, entry);
        break;
      case 'command.finished': {
        const command = this.#inFlight.get(entry.acceptedOffset);
        this.#inFlight.delete(entry.acceptedOffset);
        if (command !== undefined) this.#restore(command.accepted, entry);
        break;
      }
      default:
        break;
    }
    if (entry.lane !== SERVER_LANE) this.#foldSession(entry);
  }

  #restore(identity: CommandAccepted | CommandSettled, end: CommandSettled | CommandFinished): void {
    this.#outcomes += 1;
    const closes = end.content.facts?.some(({ type }) => type === 'session.closed') === true;
    this.#runtime.deduplication.restore(namesIn(identity), {
      settled: true,
      commandType: end.commandType,
      success: end.success,
      offset: end.offset,
      // As it was told: the session of a deletion has no version any more.
      sessionVersion: closes ? undefined : end.sessionVersion,
      runsAgain: false,
      kept: undefined,
    });
  }

  #foldSession(entry: Entry): void {
    const id = entry.lane.slice(sessionLane('').length);
    const facts =
      entry.kind === 'command.settled' || entry.kind === 'command.finished' ? entry.content.facts : undefined;
    const opened = facts?.find((fact) => fact.type === 'session.opened');
    if (opened !== undefined) {
      const mailbox = this.#router.mailbox(id);
      const session = new Session(this.#runtime, id, opened.engine, mailbox.perform);
      session.fold(entry);
      mailbox.adopt(session);
      for (const { accepted } of this.#inFlight.values()) {
        if (accepted.sessionId === id && accepted.mailbox === 'work') {
          session.enterLane(accepted.offset, accepted.commandId, accepted.deadlineAt);
        }
      }
      return;
    }
    const session = this.#router.session(id);
    if (session === undefined) return;
    session.fold(entry);
    if (session.state?.closed == null) return;
    session.stop();
    this.#router.remove(id);
    this.#lanes.delete(entry.lane);
  }

  /** What was started comes first, so that those who depend on it see what became of it. */
  #classify(): void {
    const inFlight = [...this.#inFlight.values()];
    for (const command of inFlight) if (command.attempts > 0) this.#classifyOne(command);
    for (const command of inFlight) if (command.attempts === 0) this.#classifyOne(command);
    for (const { session } of this.#router.mailboxes.values()) {
      const commandId = session?.engineHolder;
      // Ended before the restart, and its engine ended with the process.
      if (session === undefined || commandId === undefined) continue;
      session.record({ kind: 'turn.released', sessionId: session.id, commandId, content: {} });
    }
  }

  #classifyOne({ accepted, attempts }: InFlight): void {
    const { clock, intake, limits } = this.#runtime;
    const principal: Principal = { id: accepted.principal, scopes: EVERY_SCOPE };
    const parsed = intake.parse(new TextEncoder().encode(accepted.content.command), principal);
    const known = 'contract' in parsed;
    const command = this.#rebuild(accepted, known ? parsed : lost(accepted), principal);
    command.attempt = attempts;
    if (accepted.deadlineAt !== undefined && accepted.deadlineAt <= clock.now()) {
      this.#end(command, timeout(command, accepted.deadlineAt), 'deadline');
    } else if (!known) {
      this.#interrupt(command, 'unknown', 'this server does not know the command any more');
    } else if (attempts > 0) {
      this.#interrupt(command, 'started', 'it had started');
    } else if (accepted.mailbox === 'control') {
      this.#interrupt(command, 'control', 'the turn that it was for has ended');
    } else if (!limits.requeue) {
      this.#interrupt(command, 'not requeued', 'waiting work is not taken back');
    } else {
      this.#requeued.push(command);
    }
  }

  #rebuild(accepted: CommandAccepted, parsed: ParsedCommand, principal: Principal): Command {
    const { commandId, explicitId, sessionId, keyScope } = accepted;
    const identity = { commandId, explicitId, sessionId, keyScope, names: namesIn(accepted) };
    const command = new Command(parsed, identity, principal, null, accepted.at);
    command.acceptedOffset = accepted.offset;
    command.accepted = true;
    command.deadlineAt = accepted.deadlineAt;
    return command;
  }

  #interrupt(command: Command, reason: string, why: string): void {
    const error = `Command '${command.commandType}' was interrupted by a restart of the server: ${why}`;
    this.#end(command, failure('INTERRUPTED', error, { reason }), reason);
  }

  #end(command: Command, outcome: Failure, reason: string): void {
    const session = command.sessionId === undefined ? undefined : this.#router.session(command.sessionId);
    const { commandId, commandType, sessionId } = command;
    const runs = session?.state?.turn?.acceptedOffset === command.acceptedOffset;
    const events = runs && session?.state !== undefined ? closingEvents(session.state, outcome.error) : [];
    this.#router.outcomes.settle(command, { outcome, events, recovered: reason }, session);
    const lastPhase = command.attempt > 0 ? 'started' : 'accepted';
    const ids = sessionId === undefined ? { commandId, commandType } : { commandId, commandType, sessionId };
    this.#classified.push({ ...ids, lastPhase, errorCode: outcome.errorCode, reason });
  }
}

/** Stands for a command whose type is gone from the registry: it can be ended, never run. */
function lost(accepted: CommandAccepted): ParsedCommand {
  const contract: CommandContract = {
    type: accepted.commandType,
    target: 'session',
    scope: 'operate',
    lane: accepted.mailbox,
    journalled: true,
    timeout: 'none',
    turn: false,
    idempotent: false,
    decide: () => {
      throw new Error(`The command '${accepted.commandType}' is unknown to this server and can not be run.`);
    },
  };
  return { contract, frame: { type: accepted.commandType }, text: accepted.content.command };
}

function namesIn(identity: CommandAccepted | CommandSettled): Names {
  const { principal, commandId, explicitId, keyScope, idempotencyKey } = identity;
  return namesOf(principal, explicitId ? commandId : undefined, keyScope, idempotencyKey);
}
