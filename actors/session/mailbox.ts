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
import { sessionLane } from '../entry.ts';
import type { Intent } from '../host.ts';
import { failure } from '../message.ts';
import type { ConsultDecision, Decision, Failure, Json, MailboxLane, RunningTurn } from '../message.ts';
import type { Outcomes, Verdict } from '../outcomes.ts';
import type { TurnResult } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import { Acceptance } from './acceptance.ts';
import { consult } from './consultation.ts';
import { Deadlines } from './deadlines.ts';
import { decide, headRefusal, reserveSubscription } from './head.ts';
import type { Quarantine } from './head.ts';
import { findEngine, forget, Opening } from './opening.ts';
import type { OpenDecision, OpeningOwner } from './opening.ts';
import type { Session } from './session.ts';
import type { TurnRun } from './turn-run.ts';
import { Turns } from './turns.ts';
import { WaitingRoom } from './waiting-room.ts';

/** What a mailbox asks of the directory that it stands in. */
export interface MailboxOwner {
  /** Sessions that exist or are being opened; counted, because a limit asks at each creation. */
  sessionCount: number;
  /** Nothing waits in it and it has no session. */
  emptied(mailbox: Mailbox): void;
  /** Its session is closed: what comes next belongs to another incarnation. */
  closed(mailbox: Mailbox): void;
  /** The engine has let go of the closed session. */
  released(mailbox: Mailbox): void;
  /** It waited at the gate when the session behind it was closed: it belongs to the next incarnation. */
  passOn(command: Command): void;
}

/**
 * Open; or shut while the session is opened or rebuilt or a further try is journalled, while the one before holds its engine, for good because the session is
 * closed, or for good because a defect showed and another mailbox takes its place.
 */
type Gate = 'open' | 'opening' | 'releasing' | 'closed' | 'frozen';

/** What a mailbox that is given up hands to the one that takes its place. */
export interface Frozen {
  /** What has no outcome or was not told of it, in order. */
  readonly commands: readonly Command[];
  /** The one that acted when the defect showed. */
  readonly acting: Command | undefined;
  /** The engine that has not let go. */
  readonly run: TurnRun | undefined;
}

export class Mailbox implements OpeningOwner {
  readonly id: string;
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #owner: MailboxOwner;
  readonly #deadlines: Deadlines;
  readonly #acceptance: Acceptance;
  readonly #turns: Turns;
  #epoch: string | undefined;
  #session: Session | undefined;
  #gate: Gate = 'open';
  #opening: Opening | undefined;
  /** The command that is being looked at: if that throws, it is the one in doubt. */
  #acting: Command | undefined;
  #quarantine: Quarantine | undefined;
  readonly #waiting = new WaitingRoom();

  constructor(runtime: Runtime, outcomes: Outcomes, owner: MailboxOwner, id: string) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#owner = owner;
    this.id = id;
    this.#deadlines = new Deadlines(runtime, (command, outcome) => this.end(command, outcome));
    this.#acceptance = new Acceptance(runtime, outcomes, this.#deadlines);
    this.#turns = new Turns(runtime, outcomes, this.guard, (commandId, result) => this.#released(commandId, result));
  }

  /** Runs what may change the session. What throws there is a defect: the session is rebuilt from the journal. */
  readonly guard = (act: () => void): void => {
    if (this.#gate === 'frozen') return;
    try {
      act();
    } catch (error) {
      this.#runtime.crashed(error, this);
    }
  };

  get session(): Session | undefined {
    return this.#session;
  }

  /** Names this incarnation: the epoch of its session's events, and what its idempotency keys are unique in. */
  get epoch(): string {
    return (this.#epoch ??= this.#session?.state?.epoch ?? this.#runtime.ids.epoch());
  }

  /** Commands that are admitted and have no outcome. */
  get depth(): number {
    const held = (this.#turns.command === undefined ? 0 : 1) + (this.#opening === undefined ? 0 : 1);
    return this.#waiting.size + held;
  }

  get quarantine(): Quarantine | undefined {
    return this.#quarantine;
  }

  get runningTurn(): RunningTurn | undefined {
    return this.#turns.running;
  }

  /** One more command would have to wait here, and there is no room. */
  overflows(lane: MailboxLane, depends: boolean): boolean {
    const waits = depends || this.#gate !== 'open' || (lane === 'work' && this.#laneIsHeld());
    if (!waits) return false;
    if (this.depth >= this.#runtime.limits.mailboxDepthMax) return true;
    return lane === 'work' && this.#session?.laneCan('work.queued') === false;
  }

  /** Takes an admitted command. */
  admit(command: Command): void {
    this.#acting = command;
    this.guard(() => {
      if (this.#gate === 'open') this.#dispatch(command);
      else this.#park(command);
      this.#acting = undefined;
      this.#tidy();
    });
  }

  /** The last dependency of a command that waits here has its outcome. */
  resolved(command: Command): void {
    this.guard(() => {
      this.#deadlines.resolve(command);
      if (this.#waiting.aside.delete(command)) this.#decide(command);
      else this.pump();
      this.#tidy();
    });
  }

  /** Starts what may start. */
  pump(): void {
    while (this.#gate === 'open' && this.#session?.holdsEngine !== true) {
      const head = this.#waiting.queue[0];
      if (head === undefined) return;
      if (head.outcome !== undefined) {
        this.#waiting.queue.shift();
        continue;
      }
      if (head.unresolved > 0) {
        if (!head.awaitsDependencies) this.#runtime.onCommandStep?.(head, 'command.postponed');
        this.#deadlines.awaitDependencies(head);
        return;
      }
      // The dependency may be over before anyone came to tell.
      this.#deadlines.resolve(head);
      if (mustAnnounce(head)) return this.#announce(head);
      this.#waiting.queue.shift();
      this.#decide(head);
    }
  }

  /** Should the process end in this try, the next start counts it. */
  #announce(head: Command): void {
    head.announces = false;
    this.#gate = 'opening';
    this.#acceptance.retry(head, this.#session);
    const { releases, writer } = this.#runtime;
    releases.hold(writer.newestBatch, () => this.guard(() => this.#openGate()));
  }

  /** Ends a command from outside: its timeout, a drain. What has its outcome is left alone. */
  end(command: Command, outcome: Failure): void {
    if (command.outcome !== undefined) return;
    this.guard(() => {
      this.#stop(command, outcome);
      this.pump();
      this.#tidy();
    });
  }

  /** Ends everything that runs or waits, in this order. */
  endAll(outcome: Failure): void {
    for (const command of this.#pending()) this.end(command, outcome);
  }

  /** Recovery: the session as its entries tell it. */
  adopt(session: Session): void {
    this.#session = session;
    this.#owner.sessionCount += 1;
  }

  /** Recovery: what is stored of the session can't be folded. It is there, and only its end can be asked for. */
  setAside(quarantine: Quarantine): void {
    this.#session?.stop();
    if (this.#session === undefined) this.#owner.sessionCount += 1;
    this.#session = undefined;
    this.#quarantine = quarantine;
  }

  /** Recovery: the session is over. */
  drop(): void {
    this.#session?.stop();
    this.#session = undefined;
    this.#quarantine = undefined;
    this.#owner.sessionCount -= 1;
  }

  /** Gives up: engines, timers and late answers find nobody from now on. Nothing of it is told or recorded here. */
  freeze(): Frozen {
    const acting = this.#acting?.told === false ? this.#acting : undefined;
    const pending = this.#pending();
    // At the head of its lane it is the first of those that wait; in the middle of its admission it is the last.
    const order = acting === undefined ? pending : acting.reachedHead ? [acting, ...pending] : [...pending, acting];
    const commands = new Set(order);
    if (this.#gate !== 'closed' && this.#exists) this.#owner.sessionCount -= 1;
    this.#gate = 'frozen';
    const run = this.#turns.detach();
    this.#session?.stop();
    this.#opening?.session?.stop();
    for (const command of commands) this.#deadlines.disarm(command);
    return { commands: [...commands], acting, run };
  }

  /** Takes the place of a mailbox that was given up: what that held, and what comes, waits until `rebuilt`. */
  awaitRebuild(commands: readonly Command[]): void {
    this.#gate = 'opening';
    this.#waiting.parked.push(...commands);
  }

  /**
   * The session is folded and adopted again, or there is none. `retried` is the command that showed the defect: that it is
   * tried again is durable before it is.
   */
  rebuilt(retried: Command | undefined): void {
    this.guard(() => {
      for (const command of this.#waiting.parked) {
        command.inLane = this.#session?.queues(command.acceptedOffset) === true;
        this.#deadlines.arm(command);
      }
      // A turn journals its start by itself, before the engine is called.
      if (retried !== undefined) retried.announces = retried.contract.journalled && !retried.contract.turn;
      if (retried === undefined || !mustAnnounce(retried)) this.#openGate();
      else this.#announce(retried);
    });
  }

  /** The engine of an interrupted turn has not let go of the lane. */
  adoptRun(run: TurnRun): void {
    this.#turns.adopt(run);
  }

  /** Recovery: work that was accepted before the restart and never started. Folding has told the lane's chart of it. */
  requeue(command: Command): void {
    command.accepted = true;
    command.inLane = this.#session?.queues(command.acceptedOffset) === true;
    this.#deadlines.arm(command);
    if (this.#session !== undefined) this.#waiting.queue.push(command);
    else this.admit(command);
  }

  /** The incarnation before still holds its engine: what comes waits until `ungate`. */
  gate(): void {
    this.#gate = 'releasing';
  }

  ungate(): void {
    if (this.#gate === 'releasing') this.guard(() => this.#openGate());
  }

  opened(session: Session | undefined): void {
    this.guard(() => {
      this.#opening = undefined;
      this.#session = session;
      if (session === undefined) this.#owner.sessionCount -= 1;
      else for (const command of this.#waiting.queue) this.#acceptance.enterLane(command, session);
      this.#openGate();
    });
  }

  waits(command: Command): void {
    this.#acceptance.accept(command, this.#session);
    for (const parked of this.#waiting.parked) this.#acceptance.accept(parked, this.#session);
  }

  /**
   * Performs what a session's chart wants done; called when the facts behind it are durable. By then another session may
   * stand in its place: one that could not be opened is followed by the next that is tried.
   */
  readonly perform = (intent: Intent, session: Session): void => {
    this.guard(() => this.#perform(intent, session));
  };

  #perform(intent: Intent, session: Session): void {
    switch (intent.type) {
      case 'prepareEngine':
        if (this.#opening?.session === session) this.#opening.prepare();
        return;
      case 'armDeadline': {
        const { commandId } = intent.params as { commandId: string };
        const held = this.#turns.command;
        const waits =
          held?.commandId === commandId ? held : this.#waiting.queue.find((one) => one.commandId === commandId);
        if (waits !== undefined) this.#deadlines.arm(waits);
        return;
      }
      case 'callEngine':
        this.#turns.call();
        return;
      case 'signalAbort':
        this.#turns.signal((intent.params as { commandId: string }).commandId);
        return;
      case 'forgetSession': {
        if (session.state !== undefined) forget(this.#runtime, session.state.engine, this.id);
        session.stop();
        return;
      }
      default:
        throw new Error(`A session does not know how to perform '${intent.type}'.`);
    }
  }

  #stop(command: Command, outcome: Failure): void {
    if (this.#turns.command === command) {
      this.#turns.interrupt(this.#session!, outcome);
    } else if (this.#opening?.command === command) {
      this.#opening.refuse(outcome);
    } else {
      // In this order: should its outcome not be recorded, it still waits.
      this.#outcomes.settle(command, { outcome }, this.#session);
      this.#waiting.withdraw(command);
    }
  }

  /** There is a session, or one is being opened. */
  get #exists(): boolean {
    return this.#session !== undefined || this.#opening !== undefined || this.#quarantine !== undefined;
  }

  #laneIsHeld(): boolean {
    return this.#waiting.queue.length > 0 || this.#session?.holdsEngine === true;
  }

  #pending(): Command[] {
    const held = [this.#turns.command, this.#opening?.command].filter((command) => command !== undefined);
    return [...held, ...this.#waiting.all()].filter(({ outcome }) => outcome === undefined);
  }

  /** While the journal is asked who was here before, nothing is promised yet: that takes less than a commit. */
  #park(command: Command): void {
    this.#acceptance.tellQueued(command);
    this.#waiting.parked.push(command);
    const waitsLong = this.#gate === 'releasing' || this.#opening?.command.accepted === true;
    if (waitsLong) this.#acceptance.accept(command, this.#session);
  }

  #dispatch(command: Command): void {
    if (command.contract.lane !== 'work') {
      if (command.unresolved === 0) this.#decide(command);
      else this.#standAside(command);
    } else if (this.#laneIsHeld() || command.unresolved > 0 || command.announces) {
      this.#acceptance.tellQueued(command);
      this.#acceptance.enterLane(command, this.#session);
      this.#waiting.queue.push(command);
      this.pump();
    } else {
      this.#decide(command);
    }
  }

  #standAside(command: Command): void {
    this.#runtime.onCommandStep?.(command, 'command.postponed');
    this.#acceptance.accept(command, this.#session);
    this.#waiting.aside.add(command);
    this.#deadlines.awaitDependencies(command);
  }

  /** The command is at the head of its lane: looks at session and version, asks its handler, and does what that says. */
  #decide(command: Command): void {
    this.#acting = command;
    command.reachedHead = true;
    this.#runtime.onCommandStep?.(command, 'command.started');
    const state = this.#session?.state;
    const refusal = headRefusal(command, this.id, state, this.#quarantine);
    if (refusal !== undefined) this.#settle(command, { outcome: refusal });
    else this.#act(command, decide(this.#runtime, command, state));
    this.#acting = undefined;
  }

  #act(command: Command, decision: Decision): void {
    switch (decision.do) {
      case 'settle':
        return this.#settle(command, decision);
      case 'consult':
        return this.#consult(command, decision);
      case 'open':
        return this.#open(command, decision);
      case 'turn':
        return this.#startTurn(command, decision.input);
      case 'interrupt':
        return this.#abort(command);
      case 'close':
        return this.#close(command, decision.reason, decision.data);
      default:
        decision satisfies never;
    }
  }

  #settle(command: Command, verdict: Verdict): void {
    const session = this.#session?.state === undefined ? undefined : this.#session;
    const surplus = reserveSubscription(command, verdict, this.id, this.#runtime.limits.subscriptionsMax);
    if (surplus !== undefined) return this.#outcomes.settle(command, { outcome: surplus }, session);
    const message = verdict.facts?.find((fact) => fact.type === 'message.queued');
    if (session === undefined || message === undefined) {
      this.#outcomes.settle(command, verdict, session);
      return;
    }
    const refusal = this.#turns.messageRefusal(session);
    this.#outcomes.settle(command, refusal === undefined ? verdict : { outcome: refusal }, session);
    if (refusal === undefined) this.#turns.nudge(session, message.mode, message.message);
  }

  #consult(command: Command, decision: ConsultDecision): void {
    if (this.#outcomes.blind) {
      const outcome = failure('JOURNAL_UNAVAILABLE', 'The journal can not be read now');
      return this.#settle(command, { outcome });
    }
    this.#waiting.aside.add(command);
    consult(this.#runtime, this.#deadlines, command, decision, (outcome) => {
      this.guard(() => {
        this.#settle(command, { outcome });
        this.#waiting.aside.delete(command);
        this.#tidy();
      });
    });
  }

  #open(command: Command, decision: OpenDecision): void {
    const engine = findEngine(this.#runtime, decision, this.id, this.#session, this.#owner.sessionCount);
    if ('errorCode' in engine) return this.#settle(command, { outcome: engine });
    this.#gate = 'opening';
    this.#owner.sessionCount += 1;
    this.#opening = new Opening(this.#runtime, this.#outcomes, this, engine, command, decision);
    this.#opening.begin();
  }

  #startTurn(command: Command, input: Json): void {
    const session = this.#session!;
    const engine = this.#turns.engineOf(session);
    if ('errorCode' in engine) return this.#settle(command, { outcome: engine });
    this.#acceptance.enterLane(command, session);
    this.#turns.start(session, engine, command, input);
  }

  /** The engine has let go of the lane. */
  #released(commandId: string, result: TurnResult | undefined): void {
    const session = this.#session!;
    if (this.#gate === 'closed') {
      // A deletion that waited for this very turn found the engine gone, and the session is closed for good.
      if (session.holdsEngine) session.tell({ type: 'engine.released' });
      this.#owner.released(this);
      return;
    }
    if (result !== undefined) {
      const content = result.resume === undefined ? {} : { resume: result.resume };
      session.record({ kind: 'turn.released', sessionId: this.id, commandId, content });
    }
    this.pump();
    this.#tidy();
  }

  /** Ends the running turn, or else the next one that waits; and drops what was queued for it. */
  #abort(command: Command): void {
    const { steers, followUps } = this.#session!.state!;
    const outcome = { success: true } as const;
    const victim = this.#turns.command ?? this.#waiting.queue.find((waiting) => waiting.contract.turn);
    if (victim !== undefined) this.#stop(victim, failure('COMMAND_ABORTED', 'Aborted by the client'));
    const changes = victim !== undefined || steers.length + followUps.length > 0;
    this.#settle(command, changes ? { outcome, facts: [{ type: 'queue.cleared' }] } : { outcome, unchanged: true });
    // Only now: what was queued for the aborted turn is not for the next one.
    this.pump();
  }

  #close(command: Command, reason: string, data: Json): void {
    const session = this.#session;
    if (session === undefined) return this.#closeQuarantined(command, reason, data);
    const { releases, subscriptions } = this.#runtime;
    const outcome = failure('COMMAND_ABORTED', `Session was ${reason}`);
    this.#turns.interrupt(session, outcome);
    for (const waiting of this.#pending()) {
      // What is still at the gate came later: it belongs to the next incarnation.
      if (waiting === command || this.#waiting.parked.includes(waiting)) continue;
      this.#outcomes.settle(waiting, { outcome }, session);
      this.#waiting.withdraw(waiting);
    }
    this.#gate = 'closed';
    const notice = { type: 'session_deleted', data: { sessionId: this.id } };
    const facts = [{ type: 'session.closed', reason } as const];
    this.#outcomes.settle(command, { outcome: { success: true, data }, facts, notice }, session);
    releases.hold(session.lastBatch, () => subscriptions.drop(this.id));
    this.#owner.sessionCount -= 1;
    this.#owner.closed(this);
  }

  /** The end of a session that can't be folded is recorded in its lane, so that the next fold finds it over. */
  #closeQuarantined(command: Command, reason: string, data: Json): void {
    this.#gate = 'closed';
    this.#quarantine = undefined;
    const notice = { type: 'session_deleted', data: { sessionId: this.id } };
    const facts = [{ type: 'session.closed', reason } as const];
    const lane = sessionLane(this.id);
    this.#outcomes.settle(command, { outcome: { success: true, data }, facts, notice, lane }, undefined);
    this.#owner.sessionCount -= 1;
    this.#owner.closed(this);
  }

  /** Lets in what waited at the gate, in order; one of them may close it again. */
  #openGate(): void {
    this.#gate = 'open';
    // The others stay where they are until it is their turn: they count as waiting, whatever the one before them causes.
    while (this.#is('open') || this.#is('closed')) {
      const command = this.#waiting.parked.shift();
      if (command === undefined) break;
      if (command.outcome !== undefined) continue;
      if (this.#is('open')) this.#dispatch(command);
      else this.#owner.passOn(command);
    }
    this.pump();
    this.#tidy();
  }

  /** Asked anew each time: what is let in may shut the gate. */
  #is(gate: Gate): boolean {
    return this.#gate === gate;
  }

  #tidy(): void {
    if (!this.#exists && this.#gate === 'open' && this.depth === 0) this.#owner.emptied(this);
  }
}

/** It acts: what only fails for a dependency does not. */
function mustAnnounce(command: Command): boolean {
  return command.announces && command.dependencyFailure === undefined;
}
