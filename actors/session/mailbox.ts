/**
 * The mailbox of one incarnation of a session: takes its commands in the order of admission and lets each act when its lane
 * says so.
 *
 * Work is FIFO and one at a time; control and reads never wait for work. Only work blocks at its head: a control command or a
 * read that waits for a dependency stands aside. While the session is being opened, or an engine has not let go of the
 * incarnation before, everything waits at the gate in order. State: durable where a command was accepted by an entry of its
 * own; else nobody was told of it yet.
 */
import type { Command } from '../command.ts';
import { SERVER_LANE, sessionLane } from '../entry.ts';
import type { CommandAccepted, EntryDraft } from '../entry.ts';
import type { Intent } from '../host.ts';
import { failure } from '../message.ts';
import type { Decision, Failure, MailboxLane, RunningTurn } from '../message.ts';
import { identify } from '../outcomes.ts';
import type { Outcomes, Verdict } from '../outcomes.ts';
import type { TurnResult } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import { openingProblem, openingVerdict } from './opening.ts';
import type { OpenDecision } from './opening.ts';
import { Session } from './session.ts';
import { closingEvents } from './evolve.ts';
import { TurnRun } from './turn-run.ts';

/** What a mailbox asks of the directory that it stands in. */
export interface MailboxOwner {
  /** Sessions that exist or are being opened. */
  readonly sessionCount: number;
  /** Nothing waits in it and it has no session. */
  emptied(mailbox: Mailbox): void;
  /** Its session is closed: what comes next belongs to another incarnation. */
  closed(mailbox: Mailbox): void;
  /** The engine has let go of the closed session. */
  released(mailbox: Mailbox): void;
}

const aborted = (reason: string): Failure => failure('COMMAND_ABORTED', reason);

export class Mailbox {
  readonly id: string;
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #owner: MailboxOwner;
  #epoch: string | undefined;
  #session: Session | undefined;
  /** Work that waits, in order. */
  readonly #queue: Command[] = [];
  /** Control and reads that wait for a dependency. */
  readonly #aside = new Set<Command>();
  /** Everything that waits for the gate, in order of admission. */
  #parked: Command[] = [];
  #gate: 'open' | 'looking' | 'opening' | 'releasing' | 'closed' = 'open';
  #opening: { readonly command: Command; readonly decision: OpenDecision } | undefined;
  #run: TurnRun | undefined;

  constructor(runtime: Runtime, outcomes: Outcomes, owner: MailboxOwner, id: string) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#owner = owner;
    this.id = id;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Names this incarnation: the epoch of its session's events, and what its idempotency keys are unique in. */
  get epoch(): string {
    return (this.#epoch ??= this.#session?.state?.epoch ?? this.#runtime.ids.epoch());
  }

  /** Commands that are admitted and have no outcome. */
  get depth(): number {
    const held = this.#run?.command.outcome === undefined && this.#run !== undefined ? 1 : 0;
    return this.#queue.length + this.#aside.size + this.#parked.length + held + (this.#opening === undefined ? 0 : 1);
  }

  /** The session exists or is about to. */
  get countsAsSession(): boolean {
    return this.#session !== undefined || this.#gate === 'looking';
  }

  get runsTurn(): boolean {
    return this.#run !== undefined && this.#run.command.outcome === undefined;
  }

  get runningTurn(): RunningTurn | undefined {
    if (this.#run === undefined || !this.runsTurn) return undefined;
    const { commandId } = this.#run.command;
    const partial = this.#run.partial;
    const text = partial?.text ?? '';
    return partial?.truncated === true ? { commandId, text, truncated: true } : { commandId, text };
  }

  /** One more command would have to wait here, and there is no room. */
  overflows(lane: MailboxLane, depends: boolean): boolean {
    const waits = depends || this.#gate !== 'open' || (lane === 'work' && this.#mustWait());
    if (!waits) return false;
    if (this.depth >= this.#runtime.limits.mailboxDepthMax) return true;
    return lane === 'work' && this.#session?.laneCan('work.queued') === false;
  }

  /** Takes an admitted command. */
  admit(command: Command): void {
    if (this.#gate !== 'open') this.#park(command);
    else this.#dispatch(command);
    this.#tidy();
  }

  /** The last dependency of a command that waits here has its outcome. */
  resolved(command: Command): void {
    command.dependencyTimer?.cancel();
    this.#runtime.onCommandStep?.(command, 'dependencies.resolved');
    if (this.#aside.delete(command)) this.#decide(command);
    else this.pump();
    this.#tidy();
  }

  /** Starts what may start. */
  pump(): void {
    while (this.#gate === 'open') {
      const head = this.#queue[0];
      if (head === undefined || this.#session?.holdsEngine === true) return;
      if (head.unresolved > 0) {
        this.#awaitDependencies(head);
        return;
      }
      this.#queue.shift();
      this.#decide(head);
    }
  }

  /** Ends a command from outside: its timeout, a drain. What has its outcome is left alone. */
  end(command: Command, outcome: Failure): void {
    if (command.outcome !== undefined) return;
    if (this.#run?.command === command) {
      this.#interrupt(this.#run, outcome);
      return;
    }
    if (this.#opening?.command === command) {
      this.#refuseOpening(outcome);
      return;
    }
    this.#withdraw(command);
    this.#outcomes.settle(command, { outcome }, this.#session);
    this.pump();
    this.#tidy();
  }

  /** Ends everything that waits or runs, newest last. */
  endAll(outcome: Failure): void {
    for (const command of this.#pending()) this.end(command, outcome);
  }

  /** Recovery: the session as its entries tell it. */
  adopt(session: Session): void {
    this.#session = session;
  }

  /** Recovery: work that was accepted before the restart and never started. Folding has told the lane's chart of it. */
  requeue(command: Command): void {
    command.accepted = true;
    command.inLane = this.#session !== undefined;
    this.#arm(command);
    if (command.inLane) this.#queue.push(command);
    else this.admit(command);
  }

  /** The incarnation before still holds its engine: what comes waits until `ungate`. */
  gate(): void {
    this.#gate = 'releasing';
  }

  ungate(): void {
    if (this.#gate === 'releasing') this.#openGate();
  }

  /** Performs what the session's chart wants done; called when the facts behind it are durable. */
  readonly perform = (intent: Intent): void => {
    switch (intent.type) {
      case 'prepareEngine':
        this.#prepare();
        return;
      case 'armDeadline': {
        const { commandId } = intent.params as { commandId: string };
        const command = [...this.#queue, this.#run?.command].find((waiting) => waiting?.commandId === commandId);
        if (command !== undefined) this.#arm(command);
        return;
      }
      case 'callEngine':
        this.#run?.start();
        return;
      case 'signalAbort':
        this.#run?.abort(this.#runtime.limits.drainMs);
        return;
      case 'forgetSession': {
        const engine = this.#session?.state?.engine;
        if (engine !== undefined) this.#runtime.engines.get(engine)?.forget(this.id);
        this.#session?.stop();
        return;
      }
      default:
        throw new Error(`A session does not know how to perform '${intent.type}'.`);
    }
  };

  #mustWait(): boolean {
    return this.#gate !== 'open' || this.#queue.length > 0 || this.#session?.holdsEngine === true;
  }

  #pending(): Command[] {
    const held = [this.#run?.command, this.#opening?.command].filter((command) => command !== undefined);
    return [...held, ...this.#queue, ...this.#aside, ...this.#parked].filter(({ outcome }) => outcome === undefined);
  }

  #park(command: Command): void {
    this.#runtime.onCommandStep?.(command, 'command.queued');
    this.#accept(command);
    this.#parked.push(command);
  }

  #dispatch(command: Command): void {
    if (command.contract.lane !== 'work') {
      if (command.unresolved === 0) this.#decide(command);
      else this.#standAside(command);
    } else if (this.#mustWait() || command.unresolved > 0) {
      this.#runtime.onCommandStep?.(command, 'command.queued');
      this.#enqueue(command);
      this.pump();
    } else {
      this.#decide(command);
    }
  }

  #standAside(command: Command): void {
    this.#runtime.onCommandStep?.(command, 'command.postponed');
    this.#accept(command);
    this.#aside.add(command);
    this.#awaitDependencies(command);
  }

  #enqueue(command: Command): void {
    this.#enterLane(command);
    this.#queue.push(command);
  }

  /** The lane's chart hears of work once: by the entry that accepts it, or here if that was before the session existed. */
  #enterLane(command: Command): void {
    if (!command.accepted) this.#accept(command);
    if (command.inLane || this.#session?.state === undefined) return;
    command.inLane = true;
    this.#session.tell({ type: 'work.accepted', commandId: command.commandId, deadlineAt: command.deadlineAt });
  }

  /** A command that has to wait is told so by an entry of its own, and gets a deadline. Reads are told and not journalled. */
  #accept(command: Command): void {
    if (command.accepted) return;
    command.accepted = true;
    const { longMs } = this.#runtime.limits;
    if (command.contract.timeout !== 'none') command.deadlineAt = command.admittedAt + longMs;
    if (command.contract.journalled) {
      const content = { command: command.text };
      const draft: { -readonly [K in keyof CommandAccepted]?: CommandAccepted[K] } = {
        kind: 'command.accepted',
        content,
      };
      identify(draft, command);
      if (command.deadlineAt !== undefined) draft.deadlineAt = command.deadlineAt;
      command.inLane = command.contract.lane === 'work' && this.#session?.state !== undefined;
      command.acceptedOffset = this.#record(draft as EntryDraft);
    }
    const { frames, subscriptions, writer } = this.#runtime;
    this.#outcomes.hold(command.origin, writer.newestBatch, () => {
      subscriptions.announceLifecycle(frames.accepted(command), command.origin);
      this.#arm(command);
    });
  }

  #record(draft: EntryDraft): number {
    if (this.#session?.state !== undefined) return this.#session.record(draft).offset;
    return this.#runtime.writer.append(SERVER_LANE, draft).offset;
  }

  #arm(command: Command): void {
    if (command.deadlineAt === undefined || command.timer !== undefined || command.outcome !== undefined) return;
    command.timer = this.#runtime.wheel.arm(command.deadlineAt, () => {
      const tookMs = command.deadlineAt! - command.admittedAt;
      const error = `Command '${command.commandType}' timed out after ${tookMs}ms`;
      this.end(command, { ...failure('COMMAND_TIMEOUT', error), timedOut: true });
    });
  }

  #awaitDependencies(command: Command): void {
    if (command.dependencyTimer !== undefined) return;
    const { clock, limits, wheel } = this.#runtime;
    const waitMs = limits.dependencyMs;
    command.dependencyTimer = wheel.arm(clock.now() + waitMs, () => {
      const id = command.dependsOn?.join(', ') ?? '';
      const error = `Command 'dependsOn:${id}' timed out after ${waitMs}ms`;
      this.end(command, { ...failure('DEPENDENCY_TIMEOUT', error), timedOut: true });
    });
  }

  /** The command is at the head of its lane: looks at session and version, asks its handler, and does what that says. */
  #decide(command: Command): void {
    command.reachedHead = true;
    this.#runtime.onCommandStep?.(command, 'command.started');
    const state = this.#session?.state;
    const refusal = command.dependencyFailure ?? this.#headRefusal(command);
    if (refusal !== undefined) {
      this.#settle(command, { outcome: refusal });
      return;
    }
    const { contract } = command;
    const { server } = this.#runtime;
    if (contract.target === 'server') this.#settle(command, contract.decide(command.frame, server));
    else this.#act(command, contract.decide(command.frame, state, server));
  }

  #headRefusal(command: Command): Failure | undefined {
    const state = this.#session?.state;
    const expected = command.ifSessionVersion;
    if (command.contract.target !== 'session') return undefined;
    if (state === undefined) {
      const suffix = expected === undefined ? '' : ` for ifSessionVersion=${expected}`;
      return failure('SESSION_NOT_FOUND', `Session ${this.id} not found${suffix}`);
    }
    if (expected === undefined || expected === state.version) return undefined;
    const error = `Session version mismatch: expected ${expected}, got ${state.version}`;
    return failure('VERSION_MISMATCH', error, { expected, actual: state.version });
  }

  #act(command: Command, decision: Decision): void {
    switch (decision.do) {
      case 'settle':
        this.#settle(command, decision);
        return;
      case 'open':
        this.#open(command, decision);
        return;
      case 'turn':
        this.#startTurn(command, decision.input);
        return;
      case 'interrupt':
        this.#abort(command);
        return;
      case 'close':
        this.#close(command, decision.reason, decision.data);
        return;
      default:
        decision satisfies never;
    }
  }

  #settle(command: Command, verdict: Verdict): void {
    const session = this.#session;
    const queued = verdict.facts?.find((fact) => fact.type === 'message.queued');
    if (queued === undefined || session?.state === undefined) {
      this.#outcomes.settle(command, verdict, session?.state === undefined ? undefined : session);
      return;
    }
    const run = this.runsTurn ? this.#run : undefined;
    const { steers, followUps } = session.state;
    const waiting = run?.undelivered.length ?? steers.length + followUps.length;
    const { queuedMessagesMax } = this.#runtime.limits;
    if (waiting >= queuedMessagesMax) {
      const error = `Too many messages wait for the next turn (max ${queuedMessagesMax})`;
      this.#outcomes.settle(command, { outcome: failure('MAILBOX_FULL', error) }, session);
      return;
    }
    this.#outcomes.settle(command, verdict, session);
    if (run === undefined) return;
    run.nudge(queued.mode, queued.message);
    this.#runtime.releases.hold(session.lastBatch, () => run.deliver());
  }

  #startTurn(command: Command, input: TurnOpeningInput): void {
    const session = this.#session!;
    const state = session.state!;
    const engine = this.#runtime.engines.get(state.engine);
    if (engine === undefined) {
      const error = `The engine '${state.engine}' of this session is not part of this server`;
      this.#settle(command, { outcome: failure('ENGINE_UNAVAILABLE', error) });
      return;
    }
    this.#enterLane(command);
    const opening = { input, steers: state.steers, followUps: state.followUps };
    command.attempt += 1;
    const run = new TurnRun(this.#runtime, session, engine, command, opening, (result) => this.#returned(run, result));
    this.#run = run;
    session.record({
      kind: 'command.started',
      commandId: command.commandId,
      sessionId: this.id,
      acceptedOffset: command.acceptedOffset,
      attempt: command.attempt,
      content: { turn: input },
    });
    command.started = true;
    const { frames, subscriptions } = this.#runtime;
    this.#outcomes.hold(command.origin, session.lastBatch, () => {
      subscriptions.announceLifecycle(frames.started(command), command.origin);
    });
    this.#outcomes.answerEarly(command, session.lastBatch);
  }

  /** The engine has let go: with the turn's result, or of a turn that was ended before. */
  #returned(run: TurnRun, result: TurnResult): void {
    const session = this.#session!;
    this.#run = undefined;
    if (run.command.outcome === undefined) {
      this.#complete(run, session, result);
    } else if (this.#gate === 'closed') {
      session.tell({ type: 'engine.released' });
      this.#owner.released(this);
    } else {
      const content = result.resume === undefined ? {} : { resume: result.resume };
      session.record({ kind: 'turn.released', sessionId: this.id, commandId: run.command.commandId, content });
    }
    this.pump();
    this.#tidy();
  }

  #complete(run: TurnRun, session: Session, result: TurnResult): void {
    const completed = result.status === 'completed';
    const outcome = completed
      ? ({ success: true } as const)
      : failure(result.errorCode ?? 'ENGINE_FAILED', result.message, { kind: result.kind });
    if (!completed) this.#report(run.command, result.message);
    if (!session.commandCan(completed ? 'command.succeeded' : 'command.failed')) return;
    // A message that came too late for the engine waits for the next turn.
    const facts = run.undelivered.map(({ mode, message }) => ({ type: 'message.queued', mode, message }) as const);
    const events = closingEvents(session.state!, 'The engine ended the turn', run.partial?.snapshot());
    run.close();
    const resume = result.resume === undefined ? {} : { resume: result.resume };
    this.#outcomes.settle(run.command, { outcome, events, facts, ...resume }, session);
  }

  #report(command: Command, error: string): void {
    const { commandId, sessionId } = command;
    const ids = sessionId === undefined ? { commandId } : { commandId, sessionId };
    this.#runtime.telemetry.observe({ level: 'warn', message: 'turn failed', error, ...ids });
  }

  /** Ends the running turn: its outcome is recorded at once, the lane stays held until the engine has let go. */
  #interrupt(run: TurnRun, outcome: Failure): void {
    const session = this.#session!;
    if (!session.commandCan(outcome.timedOut === true ? 'command.timedOut' : 'command.cancelled')) return;
    const events = closingEvents(session.state!, outcome.error, run.partial?.snapshot());
    run.close();
    const facts = [{ type: 'queue.cleared' } as const];
    this.#outcomes.settle(run.command, { outcome, events, facts, interrupted: true }, session);
  }

  #abort(command: Command): void {
    const session = this.#session!;
    const state = session.state!;
    const outcome = { success: true } as const;
    const next = this.#queue.find((waiting) => waiting.contract.turn);
    if (this.#run !== undefined && this.runsTurn) {
      this.#interrupt(this.#run, aborted('Aborted by the client'));
      this.#settle(command, { outcome });
    } else if (next !== undefined) {
      this.#withdraw(next);
      this.#outcomes.settle(next, { outcome: aborted('Aborted by the client before it started') }, session);
      this.#settle(command, { outcome, facts: [{ type: 'queue.cleared' }] });
    } else if (state.steers.length + state.followUps.length > 0) {
      this.#settle(command, { outcome, facts: [{ type: 'queue.cleared' }] });
    } else {
      this.#settle(command, { outcome, unchanged: true });
    }
  }

  #close(command: Command, reason: string, data: Extract<Decision, { do: 'close' }>['data']): void {
    const session = this.#session!;
    const { releases, subscriptions } = this.#runtime;
    const outcome = aborted(`Session was ${reason}`);
    if (this.#run !== undefined && this.runsTurn) this.#interrupt(this.#run, outcome);
    for (const waiting of this.#pending()) {
      if (waiting === command) continue;
      this.#withdraw(waiting);
      this.#outcomes.settle(waiting, { outcome }, session);
    }
    this.#gate = 'closed';
    const notice = { type: 'session_deleted', data: { sessionId: this.id } };
    const facts = [{ type: 'session.closed', reason } as const];
    this.#outcomes.settle(command, { outcome: { success: true, data }, facts, notice }, session);
    releases.hold(session.lastBatch, () => subscriptions.drop(this.id));
    this.#owner.closed(this);
  }

  #withdraw(command: Command): void {
    this.#aside.delete(command);
    const queued = this.#queue.indexOf(command);
    if (queued >= 0) this.#queue.splice(queued, 1);
    const parked = this.#parked.indexOf(command);
    if (parked >= 0) this.#parked.splice(parked, 1);
  }

  #open(command: Command, decision: OpenDecision): void {
    const problem = openingProblem(this.#runtime, decision, this.#session?.state, this.id, this.#owner.sessionCount);
    if (problem !== undefined) {
      this.#settle(command, { outcome: problem });
      return;
    }
    const { journal, writer } = this.#runtime;
    const lane = sessionLane(this.id);
    if (!writer.knows(lane)) {
      // A session of this name may have been here before: its chain goes on where it ended.
      this.#gate = 'looking';
      this.#opening = { command, decision };
      journal.head(lane).then(
        (laneSeq) => {
          if (!writer.knows(lane)) writer.adopt(lane, laneSeq);
          this.#reopen();
        },
        (error: unknown) =>
          this.#refuseOpening(failure('JOURNAL_UNAVAILABLE', `The journal can't be read: ${String(error)}`)),
      );
      return;
    }
    const engine = this.#runtime.engines.get(decision.spec.engine ?? this.#runtime.defaultEngine)!;
    this.#session = new Session(this.#runtime, this.id, engine.kind, this.perform);
    if (engine.ready) {
      this.#opened(command, decision);
      return;
    }
    this.#accept(command);
    this.#gate = 'opening';
    this.#opening = { command, decision };
    this.#session.tell({ type: 'engine.awaited' });
  }

  #reopen(): void {
    const opening = this.#opening;
    if (opening === undefined) return;
    this.#opening = undefined;
    this.#gate = 'open';
    this.#open(opening.command, opening.decision);
    if (this.#isOpen()) this.#openGate();
    this.#tidy();
  }

  #isOpen(): boolean {
    return this.#gate === 'open';
  }

  #prepare(): void {
    const opening = this.#opening;
    if (opening === undefined) return;
    const engine = this.#runtime.engines.get(opening.decision.spec.engine ?? this.#runtime.defaultEngine)!;
    engine.prepare().then(
      () => {
        if (this.#opening !== opening) return;
        this.#opening = undefined;
        this.#opened(opening.command, opening.decision);
        this.#openGate();
      },
      (error: unknown) => {
        if (this.#opening !== opening) return;
        const text = error instanceof Error ? error.message : String(error);
        this.#refuseOpening(failure('ENGINE_UNAVAILABLE', text));
      },
    );
  }

  #opened(command: Command, decision: OpenDecision): void {
    const verdict = openingVerdict(this.#runtime, command, decision, this.id, this.epoch);
    this.#outcomes.settle(command, verdict, this.#session);
  }

  #refuseOpening(outcome: Failure): void {
    const opening = this.#opening;
    if (opening === undefined) return;
    this.#opening = undefined;
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) {
      session.tell({ type: 'opening.failed' });
      session.stop();
    }
    this.#outcomes.settle(opening.command, { outcome }, undefined);
    this.#openGate();
  }

  /** Lets in what waited at the gate, in order; one of them may close it again. */
  #openGate(): void {
    this.#gate = 'open';
    const parked = this.#parked;
    this.#parked = [];
    for (const command of parked) {
      if (command.outcome !== undefined) continue;
      if (this.#isOpen()) this.#dispatch(command);
      else this.#parked.push(command);
    }
    this.pump();
    this.#tidy();
  }

  #tidy(): void {
    if (this.#session === undefined && this.#gate === 'open' && this.depth === 0) this.#owner.emptied(this);
  }
}

type TurnOpeningInput = Extract<Decision, { do: 'turn' }>['input'];
