/**
 * What a command does when it is its turn: looks at session and version, asks its handler, and does what that says. It holds
 * what is under way because of it: the running turn, or the opening of the session.
 *
 * When it may act is the mailbox's business. State: durable where it was recorded; the run of an engine is volatile.
 */
import type { Command } from '../command.ts';
import { sessionLane } from '../entry.ts';
import type { Intent } from '../host.ts';
import { failure } from '../message.ts';
import type { ConsultDecision, Decision, Failure, Json, RunningTurn } from '../message.ts';
import type { Outcomes, Verdict } from '../outcomes.ts';
import type { TurnResult } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import type { Acceptance } from './acceptance.ts';
import { consult } from './consultation.ts';
import type { Deadlines } from './deadlines.ts';
import { decide, headRefusal, reserveSubscription } from './head.ts';
import type { Quarantine } from './head.ts';
import { findEngine, forget, Opening } from './opening.ts';
import type { OpenDecision, OpeningOwner } from './opening.ts';
import { recordPurge } from './purge.ts';
import type { Session } from './session.ts';
import type { TurnRun } from './turn-run.ts';
import { Turns } from './turns.ts';
import type { WaitingRoom } from './waiting-room.ts';

/** The mailbox, as far as what acts in it needs to know. */
export interface ExecutionOwner extends OpeningOwner {
  readonly session: Session | undefined;
  readonly quarantine: Quarantine | undefined;
  readonly waiting: WaitingRoom;
  /** What comes now belongs to another incarnation. */
  readonly isClosed: boolean;
  /** Of the whole server: sessions that exist or are being opened. */
  readonly owner: { readonly sessionCount: number };
  /** What has no outcome, in order. */
  pending(): Command[];
  /** The session is being opened: what comes waits. */
  opening(): void;
  /** The session is about to be closed: what comes belongs to another incarnation. */
  closing(): void;
  /** Its end is recorded. */
  closed(): void;
  /** The engine has let go of the lane. */
  released(): void;
  /** Something has ended: what can go on does. */
  goOn(): void;
}

export class Execution {
  /** The command that is being looked at: if that throws, it is the one in doubt. */
  acting: Command | undefined;
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #acceptance: Acceptance;
  readonly #deadlines: Deadlines;
  readonly #owner: ExecutionOwner;
  readonly #turns: Turns;
  #opening: Opening | undefined;

  constructor(
    runtime: Runtime,
    outcomes: Outcomes,
    acceptance: Acceptance,
    deadlines: Deadlines,
    owner: ExecutionOwner,
  ) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#acceptance = acceptance;
    this.#deadlines = deadlines;
    this.#owner = owner;
    this.#turns = new Turns(runtime, outcomes, owner.guard, (commandId, result) => this.#released(commandId, result));
  }

  /** Commands that hold the session: the one whose turn runs, the one that opens it. */
  get held(): Command[] {
    return [this.#turns.command, this.#opening?.command].filter((command) => command !== undefined);
  }

  get runningTurn(): RunningTurn | undefined {
    return this.#turns.running;
  }

  /** The command that opens the session, as long as it does. */
  get opens(): Command | undefined {
    return this.#opening?.command;
  }

  /** The opening has come to its end. */
  opened(): void {
    this.#opening = undefined;
  }

  /** The mailbox is given up: engines are told to stop, and handed over if they have not let go. */
  detach(): TurnRun | undefined {
    this.#opening?.session?.stop();
    return this.#turns.detach();
  }

  /** The engine of an interrupted turn has not let go of the lane. */
  adoptRun(run: TurnRun): void {
    this.#turns.adopt(run);
  }

  /** The command is at the head of its lane: looks at session and version, asks its handler, and does what that says. */
  decide(command: Command): void {
    this.acting = command;
    command.reachedHead = true;
    this.#runtime.onCommandStep?.(command, 'command.started');
    const { id, session, quarantine } = this.#owner;
    const refusal = headRefusal(this.#runtime, command, id, session, quarantine);
    if (refusal !== undefined) this.#settle(command, { outcome: refusal });
    else this.#act(command, decide(this.#runtime, command, session?.state));
    this.acting = undefined;
  }

  /** Performs what the session's chart wants done; called when the facts behind it are durable. */
  perform(intent: Intent, session: Session): void {
    switch (intent.type) {
      case 'prepareEngine':
        if (this.#opening?.session === session) this.#opening.prepare();
        return;
      case 'armDeadline': {
        const { commandId } = intent.params as { commandId: string };
        const held = this.#turns.command;
        const waits =
          held?.commandId === commandId ? held : this.#owner.waiting.queue.find((one) => one.commandId === commandId);
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
        if (session.state !== undefined) forget(this.#runtime, session.state.engine, this.#owner.id);
        session.stop();
        return;
      }
      default:
        throw new Error(`A session does not know how to perform '${intent.type}'.`);
    }
  }

  /** Ends a command from outside. */
  stop(command: Command, outcome: Failure): void {
    if (this.#turns.command === command) {
      this.#turns.interrupt(this.#owner.session!, outcome);
    } else if (this.#opening?.command === command) {
      this.#opening.refuse(outcome);
    } else {
      // In this order: should its outcome not be recorded, it still waits.
      this.#outcomes.settle(command, { outcome }, this.#owner.session);
      this.#owner.waiting.withdraw(command);
    }
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
    const session = this.#owner.session?.state === undefined ? undefined : this.#owner.session;
    const surplus = reserveSubscription(command, verdict, this.#owner.id, this.#runtime.limits.subscriptionsMax);
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
    this.#owner.waiting.aside.push(command);
    // What is asked for may act beyond the journal: that it was asked for, and how often, is durable before it does.
    if (command.contract.idempotent) this.#acceptance.accept(command, undefined);
    if (command.announces) this.#acceptance.retry(command, undefined);
    command.announces = false;
    consult(this.#runtime, this.#deadlines, command, decision, (outcome) => {
      this.#owner.guard(() => {
        this.#settle(command, { outcome });
        this.#owner.waiting.leaveAside(command);
        this.#owner.goOn();
      });
    });
  }

  #open(command: Command, decision: OpenDecision): void {
    const engine = findEngine(
      this.#runtime,
      decision,
      this.#owner.id,
      this.#owner.session,
      this.#owner.owner.sessionCount,
    );
    if ('errorCode' in engine) return this.#settle(command, { outcome: engine });
    this.#owner.opening();
    this.#opening = new Opening(this.#runtime, this.#outcomes, this.#owner, engine, command, decision);
    this.#opening.begin();
  }

  #startTurn(command: Command, input: Json): void {
    const session = this.#owner.session!;
    const engine = this.#turns.engineOf(session);
    if ('errorCode' in engine) return this.#settle(command, { outcome: engine });
    this.#acceptance.enterLane(command, session);
    this.#turns.start(session, engine, command, input);
  }

  /** The engine has let go of the lane. */
  #released(commandId: string, result: TurnResult | undefined): void {
    const { session } = this.#owner;
    if (this.#owner.isClosed) {
      // A deletion that waited for this very turn found the engine gone, and the session is closed for good.
      if (session?.holdsEngine === true) session.tell({ type: 'engine.released' });
    } else if (result !== undefined && session !== undefined) {
      const content = result.resume === undefined ? {} : { resume: result.resume };
      session.record({ kind: 'turn.released', sessionId: this.#owner.id, commandId, content });
    }
    this.#owner.released();
  }

  /** Ends the running turn, or else the next one that waits; and drops what was queued for it. */
  #abort(command: Command): void {
    const { steers, followUps } = this.#owner.session!.state!;
    const outcome = { success: true } as const;
    const victim = this.#turns.command ?? this.#owner.waiting.queue.find((waiting) => waiting.contract.turn);
    if (victim !== undefined) this.stop(victim, failure('COMMAND_ABORTED', 'Aborted by the client'));
    const changes = victim !== undefined || steers.length + followUps.length > 0;
    this.#settle(command, changes ? { outcome, facts: [{ type: 'queue.cleared' }] } : { outcome, unchanged: true });
    // Only now: what was queued for the aborted turn is not for the next one.
    this.#owner.goOn();
  }

  #close(command: Command, reason: string, data: Json): void {
    const session = this.#owner.session;
    if (session === undefined) return this.#closeQuarantined(command, reason, data);
    const { releases, subscriptions } = this.#runtime;
    const outcome = failure('COMMAND_ABORTED', `Session was ${reason}`);
    this.#turns.interrupt(session, outcome);
    for (const waiting of this.#owner.pending()) {
      // What is still at the gate came later: it belongs to the next incarnation.
      if (waiting === command || this.#owner.waiting.parked.includes(waiting)) continue;
      this.#outcomes.settle(waiting, { outcome }, session);
      this.#owner.waiting.withdraw(waiting);
    }
    this.#owner.closing();
    const notice = { type: 'session_deleted', data: { sessionId: this.#owner.id } };
    const facts = [{ type: 'session.closed', reason } as const];
    this.#outcomes.settle(command, { outcome: { success: true, data }, facts, notice }, session);
    releases.hold(session.lastBatch, () => subscriptions.drop(this.#owner.id));
    this.#owner.closed();
  }

  /** Ends the session, if there is one, and all that is here, without a command of the session. */
  purge(): void {
    const { session, waiting } = this.#owner;
    const outcome = failure('COMMAND_ABORTED', 'Session was purged');
    if (session !== undefined) this.#turns.interrupt(session, outcome);
    for (const command of waiting.all()) {
      this.#outcomes.settle(command, { outcome }, session);
      waiting.withdraw(command);
    }
    this.#opening?.refuse(outcome);
    if (session === undefined && this.#owner.quarantine === undefined) {
      this.#owner.goOn();
      return;
    }
    this.#owner.closing();
    recordPurge(this.#runtime, this.#owner.id, session);
    this.#owner.closed();
  }

  /** The end of a session that can't be folded is recorded in its lane, so that the next fold finds it over. */
  #closeQuarantined(command: Command, reason: string, data: Json): void {
    this.#owner.closing();
    const notice = { type: 'session_deleted', data: { sessionId: this.#owner.id } };
    const facts = [{ type: 'session.closed', reason } as const];
    const lane = sessionLane(this.#owner.id);
    this.#outcomes.settle(command, { outcome: { success: true, data }, facts, notice, lane }, undefined);
    this.#owner.closed();
  }
}
