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
import type { Intent } from '../host.ts';
import type { Failure, MailboxLane, RunningTurn } from '../message.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import { Acceptance, mustAnnounce } from './acceptance.ts';
import { Deadlines } from './deadlines.ts';
import { Execution } from './execution.ts';
import type { ExecutionOwner } from './execution.ts';
import { armLease, noticeRest, tendLease } from './expiry.ts';
import { orderOf } from './frozen.ts';
import type { Frozen } from './frozen.ts';
import type { Gate } from './gate.ts';
import type { Quarantine } from './head.ts';
import type { MailboxOwner } from './mailbox-owner.ts';
import type { Session } from './session.ts';
import type { TurnRun } from './turn-run.ts';
import type { FoldTarget } from './fold.ts';
import { WaitingRoom } from './waiting-room.ts';

export class Mailbox implements ExecutionOwner {
  readonly id: string;
  readonly #runtime: Runtime;
  readonly owner: MailboxOwner<Mailbox>;
  readonly #deadlines: Deadlines;
  readonly #acceptance: Acceptance;
  readonly #execution: Execution;
  #epoch: string | undefined;
  session: Session | undefined;
  #gate: Gate = 'open';
  rebuilding = false;
  /** Everything is to be ended as soon as it is rebuilt. */
  #ending: Failure | undefined;
  quarantine: Quarantine | undefined;
  /** Its session's time is over; what runs or waits keeps it alive. */
  overdue = false;
  readonly waiting = new WaitingRoom();
  usedAt: number;

  constructor(runtime: Runtime, outcomes: Outcomes, owner: MailboxOwner<Mailbox>, id: string) {
    this.#runtime = runtime;
    this.owner = owner;
    this.id = id;
    this.usedAt = runtime.clock.now();
    this.#deadlines = new Deadlines(runtime, (command, outcome) => this.end(command, outcome));
    this.#acceptance = new Acceptance(runtime, outcomes, this.#deadlines);
    this.#execution = new Execution(runtime, outcomes, this.#acceptance, this.#deadlines, this);
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

  /** Names this incarnation: the first epoch of its session's events, and what its idempotency keys are unique in. */
  get epoch(): string {
    return (this.#epoch ??= this.session?.state?.incarnation ?? this.#runtime.ids.epoch());
  }

  /** Commands that are admitted and have no outcome. */
  get depth(): number {
    return this.waiting.size + this.#execution.held.length;
  }

  /** The same, in order. */
  pending(): Command[] {
    return [...this.#execution.held, ...this.waiting.all()].filter(({ outcome }) => outcome === undefined);
  }

  /** Nothing runs or waits in it, and its session is there. */
  get rests(): boolean {
    return this.#gate === 'open' && this.depth === 0 && this.session?.rests === true;
  }

  get isFrozen(): boolean {
    return this.#gate === 'frozen';
  }

  get runningTurn(): RunningTurn | undefined {
    return this.#execution.runningTurn;
  }

  /** One more command would have to wait here, and there is no room. */
  overflows(lane: MailboxLane, depends: boolean): boolean {
    const waits = depends || this.#gate !== 'open' || (lane === 'work' && this.#laneIsHeld());
    if (!waits) return false;
    if (this.depth >= this.#runtime.limits.mailboxDepthMax) return true;
    return lane === 'work' && this.session?.laneCan('work.queued') === false;
  }

  /** Takes an admitted command. */
  admit(command: Command): void {
    this.usedAt = command.admittedAt;
    this.#execution.acting = command;
    this.guard(() => {
      if (this.#gate === 'open') this.#dispatch(command);
      else this.#park(command);
      this.#execution.acting = undefined;
      this.#tidy();
    });
  }

  /** The last dependency of a command that waits here has its outcome. */
  resolved(command: Command): void {
    this.guard(() => {
      this.#deadlines.resolve(command);
      if (this.waiting.leaveAside(command)) this.#execution.decide(command);
      else this.pump();
      this.#tidy();
    });
  }

  /** Starts what may start. */
  pump(): void {
    while (this.#gate === 'open' && this.session?.holdsEngine !== true) {
      const head = this.waiting.head();
      if (head === undefined) return;
      if (head.unresolved > 0) {
        if (!head.awaitsDependencies) this.#runtime.onCommandStep?.(head, 'command.postponed');
        this.#deadlines.awaitDependencies(head);
        return;
      }
      // The dependency may be over before anyone came to tell.
      this.#deadlines.resolve(head);
      if (mustAnnounce(head)) return this.#announce(head);
      this.waiting.queue.shift();
      this.#execution.decide(head);
    }
  }

  /** Should the process end in this try, the next start counts it. */
  #announce(head: Command): void {
    head.announces = false;
    this.#gate = 'opening';
    this.#acceptance.retry(head, this.session);
    this.#runtime.releases.hold(this.#runtime.writer.newestBatch, () => this.guard(() => this.#openGate()));
  }

  /** Ends a command from outside: its timeout, a drain. What has its outcome is left alone. */
  end(command: Command, outcome: Failure): void {
    if (command.outcome !== undefined) return;
    this.guard(() => {
      this.#execution.stop(command, outcome);
      this.pump();
      this.#tidy();
    });
  }

  /** Ends everything that runs or waits, in this order. */
  endAll(outcome: Failure): void {
    if (this.rebuilding) {
      this.#ending = outcome;
      return;
    }
    for (const command of this.pending()) this.end(command, outcome);
  }

  /** Ends everything that is here. It is closed then, if there was a session. */
  readonly purge = (): void => this.guard(() => this.#execution.purge());

  /** Its session leaves memory: what comes for it finds another mailbox. */
  passivate(): void {
    this.#gate = 'frozen';
    this.#deadlines.retire();
    this.session?.keep();
    this.session?.stop();
  }

  /** Gives up: engines, timers and late answers find nobody from now on. Nothing of it is told or recorded here. */
  freeze(): Frozen {
    const acting = this.#execution.acting?.told === false ? this.#execution.acting : undefined;
    const commands = new Set(orderOf(acting, this.pending(), this.waiting.parked, this.#gate === 'open'));
    if (this.#execution.opens !== undefined) this.owner.openingEnded();
    this.#gate = 'frozen';
    this.#runtime.leases.disarm(this.id);
    const run = this.#execution.detach();
    this.session?.stop();
    this.#deadlines.retire();
    for (const command of commands) this.#deadlines.disarm(command);
    return { commands: [...commands], acting, run };
  }

  /** Takes the place of a mailbox that was given up: what that held, and what comes, waits until `rebuilt`. */
  awaitRebuild(commands: readonly Command[], epoch: string): void {
    this.#gate = 'opening';
    this.#epoch = epoch;
    this.rebuilding = true;
    this.waiting.parked.push(...commands);
  }

  /** The session as it was folded, be there one or not. */
  take({ session, quarantine }: Pick<FoldTarget, 'session' | 'quarantine'>): void {
    this.session = session;
    this.quarantine = quarantine;
    if (session === undefined && quarantine === undefined) this.owner.left(this.id);
    else this.owner.entered(this.id);
  }

  /** The session can't be folded now: what waits, and was not accepted, is handed over; the next one may try again. */
  unread(): Command[] {
    const waiting = this.waiting.parked.splice(0);
    this.rebuilt(undefined);
    return waiting;
  }

  /** It came into memory when its time was over, and nobody asked for it before that: it ends before they are let in. */
  endOverdue(): void {
    const { clock, leases } = this.#runtime;
    const lease = this.session?.state?.lease;
    const now = clock.now();
    if (lease === undefined || !leases.started || now < lease.deadlineAt) return;
    if (this.waiting.parked.some(({ admittedAt }) => admittedAt < lease.deadlineAt)) return;
    const late = this.waiting.parked.splice(0);
    this.#gate = 'open';
    tendLease(this.#runtime, this, now);
    this.waiting.parked.push(...late);
  }

  /**
   * The session is folded and taken, or there is none. `retried` is the command that showed the defect: that it is
   * tried again is durable before it is.
   */
  rebuilt(retried: Command | undefined): void {
    this.guard(() => {
      this.rebuilding = false;
      // Without a session the next one is another incarnation.
      this.#epoch = this.session?.state?.incarnation;
      if (!this.isClosed) armLease(this.#runtime, this);
      for (const command of this.waiting.parked) {
        command.inLane = this.session?.queues(command.acceptedOffset) === true;
        this.#deadlines.arm(command);
      }
      if (this.#ending !== undefined) return this.endAll(this.#ending);
      // A turn journals its start by itself, before the engine is called.
      if (retried !== undefined) retried.announces = retried.contract.journalled && !retried.contract.turn;
      if (this.isClosed) this.#letIn();
      else if (this.owner.isReleasing(this.id)) this.gate();
      else if (retried === undefined || !mustAnnounce(retried)) this.#openGate();
      else this.#announce(retried);
    });
  }

  /** The engine of an interrupted turn has not let go of the lane. */
  adoptRun(run: TurnRun): void {
    this.#execution.adoptRun(run);
  }

  /** Recovery: work that was accepted before the restart and never started. Folding has told the lane's chart of it. */
  requeue(command: Command): void {
    command.accepted = true;
    command.inLane = this.session?.queues(command.acceptedOffset) === true;
    this.#deadlines.arm(command);
    if (this.session !== undefined) this.waiting.queue.push(command);
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
      this.#execution.opened();
      this.owner.openingEnded();
      this.take({ session, quarantine: undefined });
      if (session !== undefined) for (const command of this.waiting.queue) this.#acceptance.enterLane(command, session);
      armLease(this.#runtime, this);
      this.#openGate();
    });
  }

  waits(command: Command): void {
    for (const one of [command, ...this.waiting.parked]) this.#acceptance.accept(one, this.session);
  }

  /**
   * Performs what a session's chart wants done; called when the facts behind it are durable. By then another session may
   * stand in its place: one that could not be opened is followed by the next that is tried.
   */
  readonly perform = (intent: Intent, session: Session): void => {
    this.guard(() => this.#execution.perform(intent, session));
  };

  #laneIsHeld(): boolean {
    return this.waiting.queue.length > 0 || this.session?.holdsEngine === true;
  }

  /** While the journal is asked who was here before, nothing is promised yet: that takes less than a commit. */
  #park(command: Command): void {
    this.#acceptance.tellQueued(command);
    this.waiting.parked.push(command);
    const waitsLong = this.#gate === 'releasing' || this.#execution.opens?.accepted === true;
    if (waitsLong) this.#acceptance.accept(command, this.session);
    else if (this.rebuilding && command.acceptedOffset === 0) this.#deadlines.await(command);
  }

  #dispatch(command: Command): void {
    // Work that comes too late for its session is told so at once, and keeps nothing alive. To make one is no work of it.
    if (command.contract.lane !== 'work' || (this.overdue && command.contract.target === 'session')) {
      if (command.unresolved === 0) this.#execution.decide(command);
      else this.#standAside(command);
    } else if (this.#laneIsHeld() || command.unresolved > 0 || command.announces) {
      this.#acceptance.tellQueued(command);
      this.#acceptance.enterLane(command, this.session);
      this.waiting.queue.push(command);
      this.pump();
    } else {
      this.#execution.decide(command);
    }
  }

  #standAside(command: Command): void {
    this.#runtime.onCommandStep?.(command, 'command.postponed');
    this.#acceptance.accept(command, this.session);
    this.waiting.aside.push(command);
    this.#deadlines.awaitDependencies(command);
  }

  get isClosed(): boolean {
    return this.#gate === 'closed';
  }

  opening(): void {
    this.#gate = 'opening';
    this.owner.opening();
  }

  closing(): void {
    this.#gate = 'closed';
  }

  closed(): void {
    this.quarantine = undefined;
    this.owner.left(this.id);
    this.#runtime.leases.disarm(this.id);
    this.owner.closed(this);
  }

  released(): void {
    if (this.isClosed) this.owner.released(this);
    else this.goOn();
  }

  goOn(): void {
    this.pump();
    this.#tidy();
  }

  /** Lets in what waited at the gate, in order; one of them may close it again. */
  #openGate(): void {
    if (this.isClosed) return;
    this.#gate = 'open';
    this.#letIn();
  }

  #letIn(): void {
    // The others stay where they are until it is their turn: they count as waiting, whatever the one before them causes.
    while (this.#is('open') || this.#is('closed')) {
      const command = this.waiting.parked.shift();
      if (command === undefined) break;
      if (command.outcome !== undefined) continue;
      // It stands nowhere until it is dispatched: a defect on the way must not lose it.
      this.#execution.acting = command;
      if (this.#is('open')) this.#dispatch(command);
      else this.owner.passOn(command);
      this.#execution.acting = undefined;
    }
    this.pump();
    this.#tidy();
  }

  #is(gate: Gate): boolean {
    return this.#gate === gate;
  }

  #tidy(): void {
    if (this.overdue) noticeRest(this.#runtime, this);
    if ((this.session ?? this.#execution.opens ?? this.quarantine) !== undefined) return;
    if (this.#gate === 'open' && this.depth === 0) this.owner.emptied(this);
  }
}
