/**
 * The directory of sessions: which there are, and the mailboxes of those that are in memory.
 *
 * A session that nobody uses for a while leaves memory; a record of what lists show stays. Whoever asks for it makes its mailbox,
 * whose gate is shut until the session is folded, so that order, limits and deadlines are those of a session in memory. One
 * timer looks for idle sessions, a slice at a time. State: rebuildable (from the journal).
 */
import type { SessionsPart } from './checkpoint.ts';
import type { Command } from './command.ts';
import { sessionLane } from './entry.ts';
import { SERVER_SCOPE } from './names.ts';
import type { Outcomes } from './outcomes.ts';
import type { Replaceable, Runtime } from './runtime.ts';
import { readRecord, redactRecord, summaryOf } from './session-record.ts';
import type { SessionSummary } from './session-record.ts';
import { comesBackWhole, recordAtRest } from './session/at-rest.ts';
import { expireAtRest, isOverdue } from './session/expiry.ts';
import type { Frozen } from './session/frozen.ts';
import type { MailboxOwner } from './session/mailbox-owner.ts';
import { Mailbox } from './session/mailbox.ts';
import { activateSession, rebuildSession } from './session/rebuild.ts';
import type { TurnRun } from './session/turn-run.ts';

/** Sessions that are read side by side because something is due of them. */
const WOKEN_AT_ONCE = 64;

/** Written between two turns of the event loop: less than a millisecond. */
const PART_SESSIONS = 512;

/** Looked at between two turns of the event loop: less than a millisecond. */
const SWEPT_AT_ONCE = 500;
/** A session is found idle at most this part of its time too late. */
const SWEEPS_PER_IDLE_TIME = 4;

export class Directory implements MailboxOwner<Mailbox> {
  /** Where commands of no session wait for their dependencies; it is not listed, so no session can be meant by it. */
  readonly server: Mailbox;
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #mailboxes = new Map<string, Mailbox>();
  /** Every session, in order of creation; the record of one that is not in memory, else null. */
  readonly #sessions = new Map<string, string | null>();
  /** Closed sessions whose engine has not let go: their name's next incarnation waits. */
  readonly #releasing = new Map<string, Mailbox>();
  #passive = 0;
  #openings = 0;
  /** Sessions that are on their way into memory, and who waits until none is. */
  #underWay = 0;
  /** Sessions that something is due of, and that are not on their way yet. */
  readonly #woken: string[] = [];
  readonly #onArrived: (() => void)[] = [];
  /** Who waits for the next one to arrive, or to fail. */
  readonly #onArrival: (() => void)[] = [];
  #sweep: unknown;
  /** Commands are admitted: what is idle may leave. */
  #live = false;

  constructor(runtime: Runtime, outcomes: Outcomes) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.server = new Mailbox(runtime, outcomes, this, SERVER_SCOPE);
  }

  /** Of sessions in memory. */
  get mailboxes(): ReadonlyMap<string, Mailbox> {
    return this.#mailboxes;
  }

  /** Sessions that exist or are being opened, in memory or not: a limit asks at each creation. */
  get sessionCount(): number {
    return this.#sessions.size + this.#openings;
  }

  /** Sessions that exist and are not in memory. */
  get passiveCount(): number {
    return this.#passive;
  }

  has(sessionId: string): boolean {
    return this.#sessions.has(sessionId);
  }

  /** It exists and is not in memory, nor on its way there. */
  isPassive(sessionId: string): boolean {
    return typeof this.#sessions.get(sessionId) === 'string' && !this.#mailboxes.has(sessionId);
  }

  /** In order of creation, from the session `from` on if there is one. Those that are set aside are not among them. */
  *summaries(from?: string): Iterable<SessionSummary> {
    let passesOver = from !== undefined && this.#sessions.has(from);
    for (const id of this.#sessions.keys()) {
      if (passesOver && id !== from) continue;
      passesOver = false;
      const summary = this.summary(id);
      if (summary !== undefined && !this.#isOver(summary)) yield summary;
    }
  }

  /** Its time is over, and its end is not recorded yet, or can't be now. What keeps it alive is seen in memory alone. */
  #isOver({ id, deadlineAt, inherited }: SessionSummary): boolean {
    const session = this.#mailboxes.get(id)?.session;
    if (session !== undefined) return isOverdue(this.#runtime, session);
    return !inherited && this.#runtime.clock.now() >= deadlineAt;
  }

  summary(sessionId: string): SessionSummary | undefined {
    const record = this.#sessions.get(sessionId);
    if (typeof record === 'string') return record === '' ? undefined : readRecord(sessionId, record);
    const state = this.#mailboxes.get(sessionId)?.session?.state;
    return state === undefined ? undefined : summaryOf(state);
  }

  /** What a boot has to know of sessions, a part at a time; between two of them the sessions may go on. */
  *export(): Generator<SessionsPart> {
    let part = { kind: 'sessions' as const, ids: [] as string[], records: [] as string[], busy: [] as string[] };
    for (const [id, record] of this.#sessions) {
      const session = this.#mailboxes.get(id)?.session;
      part.ids.push(id);
      part.records.push(record ?? (session?.state === undefined ? '' : recordAtRest(session, this.#runtime.redaction)));
      // One that is set aside is found so again.
      if (record === null && session?.isIdle !== true) part.busy.push(id);
      if (part.ids.length < PART_SESSIONS) continue;
      yield part;
      part = { ...part, ids: [], records: [], busy: [] };
    }
    if (part.ids.length > 0) yield part;
  }

  /** Recovery: it was made again, behind all others, and is read from its lane. */
  renew(sessionId: string): void {
    const record = this.#sessions.get(sessionId);
    if (record === undefined) return;
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, record);
  }

  /** Sessions that are there, and not in memory. One that was made again while it was exported is there twice: the newer counts. */
  import({ ids, records }: SessionsPart): void {
    const before = this.#sessions.size;
    const { redaction } = this.#runtime;
    const own = redaction === undefined ? records : records.map((record) => redactRecord(record, redaction));
    ids.forEach((id, index) => this.#sessions.set(id, own[index]!));
    this.#passive += this.#sessions.size - before;
  }

  find(sessionId: string): Mailbox | undefined {
    return this.#mailboxes.get(sessionId);
  }

  /** The incarnation that a command would meet. */
  incarnationOf(sessionId: string): string | undefined {
    return this.#mailboxes.get(sessionId)?.epoch ?? this.summary(sessionId)?.incarnation;
  }

  /** Made if it is missing; the session comes into memory behind its gate. */
  mailbox(sessionId: string): Mailbox {
    const found = this.#mailboxes.get(sessionId);
    if (found !== undefined) return found;
    const mailbox = new Mailbox(this.#runtime, this.#outcomes, this, sessionId);
    if (this.#releasing.has(sessionId)) mailbox.gate();
    this.#mailboxes.set(sessionId, mailbox);
    const record = this.#sessions.get(sessionId);
    // Without a record it is set aside, and has no incarnation to go by.
    if (typeof record === 'string') this.#activate(mailbox, this.summary(sessionId)?.incarnation ?? '');
    this.#awaitSweep();
    return mailbox;
  }

  /** From now on what is idle leaves memory. */
  goLive(): void {
    this.#live = true;
    this.#awaitSweep();
  }

  /** All sessions' times are awaited, also of those that are not in memory. */
  armLeases(): void {
    const { leases } = this.#runtime;
    for (const id of this.#sessions.keys()) {
      const summary = this.summary(id);
      if (summary !== undefined) leases.arm(id, summary.dueAt);
    }
  }

  /**
   * Something is due: the mailbox of a session in memory. Others end where they are, if that is it; else they are brought into
   * memory, a few at once, and looked at then.
   */
  wake(sessionId: string, now: number): Mailbox | undefined {
    const found = this.#mailboxes.get(sessionId);
    if (found !== undefined || !this.isPassive(sessionId)) return found;
    const record = readRecord(sessionId, this.#sessions.get(sessionId)!);
    if (now >= record.deadlineAt && !record.inherited) {
      expireAtRest(this.#runtime, record, now);
      this.left(sessionId);
      this.forgetLane(sessionId);
      return undefined;
    }
    if (this.#underWay < WOKEN_AT_ONCE) this.mailbox(sessionId);
    else this.#woken.push(sessionId);
    return undefined;
  }

  /** A mailbox in which a defect showed is replaced: its session is folded again from its journal lane. */
  rebuild(mailbox: Mailbox, error: string): void {
    const frozen = mailbox.freeze();
    if (this.#releasing.get(mailbox.id) === mailbox) {
      // The session was closed: what the engine still holds is all that there was.
      this.released(mailbox);
      return;
    }
    const successor = new Mailbox(this.#runtime, this.#outcomes, this, mailbox.id);
    successor.awaitRebuild(frozen.commands, mailbox.epoch);
    this.#mailboxes.set(mailbox.id, successor);
    this.#underWay += 1;
    rebuildSession(this.#runtime, this.#outcomes, successor, frozen, error, () => this.#arrived());
  }

  #activate(mailbox: Mailbox, epoch: string): void {
    mailbox.awaitRebuild([], epoch);
    this.#underWay += 1;
    activateSession(this.#runtime, this.#outcomes, mailbox, () => this.#arrived());
  }

  #arrived(): void {
    this.#underWay -= 1;
    for (let next = this.#woken.pop(); next !== undefined; next = this.#woken.pop()) {
      if (!this.isPassive(next)) continue;
      this.mailbox(next);
      break;
    }
    for (const wake of this.#onArrival.splice(0)) wake();
    if (this.#underWay === 0) for (const wake of this.#onArrived.splice(0)) wake();
  }

  /** Settles when the session is not on its way into memory any more, or is not going to get there: this was given up. */
  async arrival(sessionId: string): Promise<void> {
    for (let found = this.find(sessionId); found?.rebuilding === true && !found.isFrozen; found = this.find(sessionId))
      await new Promise<void>((resolve) => this.#onArrival.push(resolve));
  }

  /** Settles when no session is on its way into memory. */
  settled(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onArrived.push(resolve));
  }

  /** The mailbox if it can be replaced by itself: it stands in the directory, or waits for an engine to let go. */
  replaceable(mailbox: Replaceable): Mailbox | undefined {
    const { id } = mailbox;
    return [this.#mailboxes.get(id), this.#releasing.get(id)].find((one) => one === mailbox);
  }

  /** Nothing acts any more. */
  freeze(): Frozen[] {
    this.#live = false;
    this.#runtime.clock.clearTimeout(this.#sweep);
    this.#woken.length = 0;
    const mailboxes = [this.server, ...this.#releasing.values(), ...this.#mailboxes.values()];
    return mailboxes.map((mailbox) => mailbox.freeze());
  }

  /** Recovery: the session is closed. */
  remove(sessionId: string): void {
    this.#take(sessionId);
  }

  /** Recovery: the engine of a session that was closed has not let go of its last turn. */
  awaitRelease(run: TurnRun): void {
    const mailbox = new Mailbox(this.#runtime, this.#outcomes, this, run.sessionId);
    mailbox.closing();
    this.#releasing.set(mailbox.id, mailbox);
    this.#mailboxes.get(mailbox.id)?.gate();
    mailbox.adoptRun(run);
  }

  opening(): void {
    this.#openings += 1;
  }

  openingEnded(): void {
    this.#openings -= 1;
  }

  entered(sessionId: string): void {
    if (typeof this.#sessions.get(sessionId) === 'string') this.#passive -= 1;
    this.#sessions.set(sessionId, null);
  }

  left(sessionId: string): void {
    if (typeof this.#sessions.get(sessionId) === 'string') this.#passive -= 1;
    this.#sessions.delete(sessionId);
  }

  /** Commands are admitted. */
  get isLive(): boolean {
    return this.#live;
  }

  /** It is there, or somebody asks for it, or an engine has not let go of it. */
  uses(sessionId: string): boolean {
    return this.has(sessionId) || this.#mailboxes.has(sessionId) || this.#releasing.has(sessionId);
  }

  isReleasing(sessionId: string): boolean {
    return this.#releasing.has(sessionId);
  }

  emptied(mailbox: Mailbox): void {
    if (this.#mailboxes.get(mailbox.id) !== mailbox) return;
    this.#take(mailbox.id);
    this.forgetLane(mailbox.id);
  }

  closed(mailbox: Mailbox): void {
    this.#take(mailbox.id);
    if (mailbox.session?.holdsEngine === true) this.#releasing.set(mailbox.id, mailbox);
    this.forgetLane(mailbox.id);
  }

  released(mailbox: Mailbox): void {
    if (this.#releasing.get(mailbox.id) !== mailbox) return;
    this.#releasing.delete(mailbox.id);
    this.#mailboxes.get(mailbox.id)?.ungate();
  }

  passOn(command: Command): void {
    this.mailbox(command.sessionId ?? '').admit(command);
  }

  #take(sessionId: string): void {
    this.#mailboxes.delete(sessionId);
    if (this.#mailboxes.size > 0 || this.#sweep === undefined) return;
    this.#runtime.clock.clearTimeout(this.#sweep);
    this.#sweep = undefined;
  }

  /** Once its last entry is durable, a later session of the same name can ask the journal where the lane ended. */
  forgetLane(sessionId: string): void {
    const { releases, writer } = this.#runtime;
    const lane = sessionLane(sessionId);
    const laneSeq = writer.laneSeq(lane);
    if (laneSeq === undefined) return;
    releases.hold(writer.newestBatch, () => {
      if (!this.#mailboxes.has(sessionId)) writer.forget(lane, laneSeq);
    });
  }

  #awaitSweep(): void {
    if (this.#sweep !== undefined || !this.#live || this.#mailboxes.size === 0) return;
    const { clock, limits } = this.#runtime;
    this.#sweep = clock.setTimeout(
      () => this.#sweepFrom(this.#mailboxes.values()),
      Math.ceil(limits.passivationIdleMs / SWEEPS_PER_IDLE_TIME),
    );
  }

  /** Whoever comes while the sweep is under way is looked at too, or by the next one. */
  #sweepFrom(mailboxes: Iterator<Mailbox>): void {
    const { clock, limits, redaction, writer } = this.#runtime;
    const before = clock.now() - limits.passivationIdleMs;
    for (let looked = 0; looked < SWEPT_AT_ONCE; looked += 1) {
      const next = mailboxes.next();
      if (next.done === true) {
        this.#sweep = undefined;
        this.#awaitSweep();
        return;
      }
      // Of what is not durable nothing leaves memory.
      const { rests, overdue, usedAt, session } = next.value;
      if (!writer.writable || !rests || overdue || usedAt > before) continue;
      if (session?.restsSince(before) === true && comesBackWhole(session, redaction)) this.#passivate(next.value);
    }
    this.#sweep = clock.setTimeout(() => this.#sweepFrom(mailboxes), 0);
  }

  /** It leaves memory, unless somebody came for it meanwhile. */
  letRest(mailbox: Mailbox): void {
    const { clock, redaction, writer } = this.#runtime;
    if (!this.#live || this.#mailboxes.get(mailbox.id) !== mailbox || !writer.writable) return;
    const { rests, session } = mailbox;
    if (!rests || session?.restsSince(clock.now()) !== true) return;
    if (comesBackWhole(session, redaction)) this.#passivate(mailbox);
  }

  #passivate(mailbox: Mailbox): void {
    const { id, session } = mailbox;
    mailbox.passivate();
    this.#take(id);
    this.#sessions.set(id, recordAtRest(session!, this.#runtime.redaction));
    this.#passive += 1;
    this.forgetLane(id);
  }
}
