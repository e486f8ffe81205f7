/**
 * A boot, or a rebuild in place: opens the journal, folds it into outcomes, keys, versions and sessions, classifies what was in
 * flight, makes the classification durable and takes work that never started back into its lanes.
 *
 * Each classification is an entry, so the next boot finds nothing to classify, however often it is repeated. State:
 * rebuildable.
 */
import type { Actor } from 'xstate';
import { recoveryMachine } from '../machines/recovery.ts';
import { Command } from './command.ts';
import { SERVER_LANE } from './entry.ts';
import type { CommandAccepted } from './entry.ts';
import { JournalFold, namesIn, noSurvivors } from './journal-fold.ts';
import type { InFlight, Recoverable, Survivors } from './journal-fold.ts';
import { failure } from './message.ts';
import type { CommandContract, Failure, Principal, RecoveredCommand, RecoverySummary } from './message.ts';
import type { ParsedCommand } from './ports.ts';
import type { Router } from './router.ts';
import type { Runtime } from './runtime.ts';
import { timeout } from './session/deadlines.ts';
import { closingEvents } from './session/evolve.ts';
import { quarantined } from './session/rebuild.ts';

/** Why the journal is read again although the process goes on. */
export interface Cause {
  readonly child: string;
  readonly error: string;
}

/** Whoever sent a command of an earlier boot was authorized then. */
const EVERY_SCOPE = ['observe', 'drive', 'approve', 'exec', 'operate'] as const;

export class Recovery {
  readonly #runtime: Runtime;
  readonly #router: Router;
  readonly #survivors: Survivors;
  readonly #actor: Actor<typeof recoveryMachine>;
  readonly #fold: JournalFold;
  readonly #requeued: Command[] = [];
  readonly #ended: Command[] = [];
  readonly #classified: RecoveredCommand[] = [];
  readonly #startedAt: number;
  #opened = false;
  #classifying = false;
  #committed = false;

  /** @param anew a defect showed: nothing that memory made is trusted, and the journal is folded from its first entry. */
  constructor({ runtime, router, checkpointer }: Recoverable, survivors: Survivors = noSurvivors, anew = false) {
    this.#runtime = runtime;
    this.#router = router;
    this.#survivors = survivors;
    this.#fold = new JournalFold({ runtime, router, checkpointer }, survivors, anew);
    this.#startedAt = runtime.clock.now();
    this.#actor = runtime.host.start(recoveryMachine, 'recovery', undefined);
  }

  /** What was folded is as durable as the journal; false once classifications that failed are part of it. */
  get reusable(): boolean {
    return !this.#classifying;
  }

  /** What was classified is durable: from now on a session can be rebuilt by itself. */
  get committed(): boolean {
    return this.#committed;
  }

  /** Survivors that nobody has answered or taken over yet: who gives this up hands them on. */
  get left(): ReadonlyMap<number, Command> {
    if (!this.#classifying) return this.#survivors.commands;
    const left = new Map(this.#survivors.commands);
    // In the place of each that was classified there is another command, which may have been answered.
    for (const command of [...this.#fold.told.map(([told]) => told), ...this.#ended, ...this.#requeued]) {
      if (command.told) left.delete(command.acceptedOffset);
      else left.set(command.acceptedOffset, command);
    }
    return left;
  }

  /** Folds what the journal holds beyond what was folded before. It may be called before `run`, on a journal that only reads. */
  async fold(): Promise<void> {
    await this.#fold.run((entries) => {
      if (this.#opened) this.#tell({ type: 'page.folded', entries });
    });
  }

  /** What failed is the journal: it has to be opened again. */
  get journalFailed(): boolean {
    return this.#fold.unreadable || !this.#runtime.writer.writable;
  }

  /**
   * Folds the journal, classifies and goes live. At the start of the process it opens the journal first; else `cause` is what
   * failed, and the journal is open.
   * `check` throws when a defect showed during a wait: work that was taken back then would be done twice.
   * @throws JournalRefused, what the journal failed with, or what `check` throws. As long as it is `reusable` it may be run again.
   */
  async run(serverVersion: string, check: () => void, cause?: Cause): Promise<RecoverySummary> {
    const { clock, journal, releases, writer } = this.#runtime;
    const entries = cause === undefined ? (await journal.open()).offset : this.#fold.offset;
    if (!this.#opened) this.#tell({ type: 'journal.opened', entries });
    this.#opened = true;
    await this.fold();
    const content = cause === undefined ? {} : { cause };
    writer.append(SERVER_LANE, { kind: 'server.started', boot: this.#fold.boot, serverVersion, content });
    try {
      // By itself, where it is not the first: whether the journal can be written again is found out before anything is evolved.
      if (cause !== undefined) await writer.settled();
    } catch (error) {
      // What waited for this entry shows nothing of it.
      releases.complete(writer.newestBatch);
      throw error;
    }
    check();
    this.#classifying = true;
    this.#tell({ type: 'journal.folded' });
    this.#runtime.subscriptions.reconcileAll((id) => this.#router.directory.summary(id));
    this.#awaitReleases();
    this.#classify();
    this.#tell({ type: 'work.classified', commands: this.#classified.length });
    const counts = { classified: this.#classified.length, requeued: this.#requeued.length };
    writer.append(SERVER_LANE, { kind: 'server.recovered', boot: this.#fold.boot, ...counts, content: {} });
    await writer.settled();
    check();
    this.#committed = true;
    // Counted before work is taken back: a creation among it makes a session that was not recovered.
    const sessions = this.#router.directory.sessionCount;
    this.#tell({ type: 'classification.committed' });
    this.stop();
    for (const [command, entry] of this.#fold.told) this.#router.outcomes.restore(command, entry);
    return {
      boot: this.#fold.boot,
      journal: journal.location,
      durable: journal.durability === 'durable',
      entriesScanned: this.#fold.entries,
      sessions,
      recoveredOutcomes: this.#fold.outcomes,
      classified: this.#classified,
      requeued: this.#requeued.length,
      startedAt: this.#startedAt,
      tookMs: clock.now() - this.#startedAt,
    };
  }

  /** Ends it, also in the middle. */
  stop(): void {
    if (this.#actor.getSnapshot().status === 'active') this.#tell({ type: 'journal.refused' });
    this.#runtime.host.stop(this.#actor);
  }

  #tell(event: Parameters<Actor<typeof recoveryMachine>['send']>[0]): void {
    const intents = this.#runtime.host.collect(() => this.#actor.send(event));
    for (const intent of intents) if (intent.type === 'requeueWork') this.#router.requeue(this.#requeued);
  }

  /** What was started comes first, so that those who depend on it see what became of it. */
  #classify(): void {
    const inFlight = [...this.#fold.inFlight.values()];
    for (const command of inFlight) if (command.attempts > 0) this.#classifyOne(command);
    for (const command of inFlight) if (command.attempts === 0) this.#classifyOne(command);
    for (const mailbox of this.#router.directory.mailboxes.values()) {
      const { session } = mailbox;
      const commandId = session?.engineHolder;
      if (session === undefined || commandId === undefined) continue;
      const run = this.#survivors.runs.get(session.id);
      if (run?.command.commandId === commandId) mailbox.adoptRun(run);
      // Ended before the restart, and its engine ended with the process.
      else session.record({ kind: 'turn.released', sessionId: session.id, commandId, content: {} });
    }
  }

  /** Of sessions that are closed. */
  #awaitReleases(): void {
    for (const run of this.#survivors.runs.values()) {
      if (run.holds && !this.#router.directory.has(run.sessionId)) this.#router.directory.awaitRelease(run);
    }
  }

  #classifyOne({ accepted, attempts }: InFlight): void {
    const { clock, intake, limits } = this.#runtime;
    const principal: Principal = { id: accepted.principal, scopes: EVERY_SCOPE };
    // In the same process the command itself is still there, whatever was stored of it.
    const incomplete = accepted.redacted === true || accepted.blanked === true;
    const original = incomplete ? this.#survivors.commands.get(accepted.offset) : undefined;
    const parsed = original ?? intake.parse(new TextEncoder().encode(accepted.content.command), principal);
    const known = 'contract' in parsed;
    const command = this.#rebuild(accepted, known ? parsed : lost(accepted), principal);
    command.attempt = attempts;
    command.crashes = attempts;
    command.redacted = incomplete && original === undefined;
    if (accepted.deadlineAt !== undefined && accepted.deadlineAt <= clock.now()) {
      this.#end(command, timeout(command, accepted.deadlineAt), 'deadline');
    } else if (command.redacted) {
      this.#interrupt(command, 'redacted', 'what was stored of it is not all that was asked');
    } else if (!known) {
      this.#interrupt(command, 'unknown', 'this server does not know the command any more');
    } else if (attempts >= limits.attemptsMax) {
      this.#end(command, quarantined(command, 'the process ended whenever it acted'), 'quarantined');
    } else if (this.#router.directory.find(command.sessionId ?? '')?.quarantine !== undefined) {
      const error = `Session ${String(command.sessionId)} is set aside: its entries can not be read`;
      this.#end(command, failure('SESSION_QUARANTINED', error), 'session quarantined');
    } else if (attempts > 0 && !(command.contract.idempotent && limits.requeue)) {
      this.#interrupt(command, 'started', 'it had started');
    } else if (accepted.mailbox === 'control' && !command.contract.idempotent) {
      this.#interrupt(command, 'control', 'the turn that it was for has ended');
    } else if (!limits.requeue) {
      this.#interrupt(command, 'not requeued', 'waiting work is not taken back');
    } else {
      // A turn journals its start by itself, before the engine is called.
      command.announces = !command.contract.turn;
      this.#requeued.push(command);
    }
  }

  #rebuild(accepted: CommandAccepted, parsed: ParsedCommand, principal: Principal): Command {
    const { commandId, explicitId, sessionId, keyScope } = accepted;
    const identity = { commandId, explicitId, sessionId, keyScope, names: namesIn(accepted) };
    const survivor = this.#survivors.commands.get(accepted.offset);
    const command = new Command(parsed, identity, principal, survivor?.origin ?? null, accepted.at);
    if (survivor !== undefined) command.waiters = survivor.waiters;
    command.counted = survivor?.counted === true;
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
    const session =
      command.sessionId === undefined ? undefined : this.#router.directory.find(command.sessionId)?.session;
    const { commandId, commandType, sessionId } = command;
    const runs = session?.state?.turn?.acceptedOffset === command.acceptedOffset;
    const events = runs && session?.state !== undefined ? closingEvents(session.state, outcome.error) : [];
    const held = runs && this.#survivors.runs.has(command.sessionId ?? '') ? { interrupted: true as const } : {};
    this.#router.outcomes.settle(command, { outcome, events, recovered: reason, ...held }, session);
    this.#ended.push(command);
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
    activity: 'user',
    decide: () => {
      throw new Error(`The command '${accepted.commandType}' is unknown to this server and can not be run.`);
    },
  };
  return { contract, frame: { type: accepted.commandType }, text: accepted.content.command };
}
