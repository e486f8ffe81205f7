/**
 * The session actor: an evolution of data and chart (see `evolution.ts`), and the one way by which the running server changes it.
 *
 * `record` puts a fact into the journal's open batch and at once evolves data and chart; what the chart wants done outside is
 * held until that batch is durable. `fold` does the same with entries that are durable already, and drops the intents: what is
 * still owed after a restart is derived at recovery. Wiring only: which command may do what is the mailbox's business.
 * State: durable.
 */
import type { CommandEvent } from '../../machines/command.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import { sessionLane } from '../entry.ts';
import type { Entry, EntryDraft } from '../entry.ts';
import type { Intent } from '../host.ts';
import type { Runtime } from '../runtime.ts';
import { isDurable } from './event.ts';
import type { SessionEvent } from './event.ts';
import { eventFrame } from './event-frame.ts';
import { Evolution } from './evolution.ts';
import { extendedEvent, extensionAt, isActivity } from './lease.ts';
import type { SessionState } from './session-state.ts';
import { snapshotOf } from './snapshot.ts';
import type { SessionFold } from './session-fold.ts';

/** The next snapshot comes when the lane has grown by this part of itself. */
const KEPT_AGAIN_PARTS = 4;

export class Session {
  readonly id: string;
  readonly lane: string;
  readonly #runtime: Runtime;
  readonly #evolution: Evolution;
  readonly #perform: (intent: Intent, session: Session) => void;
  #lastBatch = 0;
  /** An attach takes effect with this batch: what is not journalled does not overtake it. */
  #shownAfter = 0;
  /** Its lease was extended, and nobody was told. */
  #extended = false;
  /** Where in the lane its newest snapshot stands. */
  #keptAt = 0;
  #stopped = false;

  constructor(
    runtime: Runtime,
    id: string,
    engine: string,
    perform: (intent: Intent, session: Session) => void,
    restored?: SessionFold,
  ) {
    this.id = id;
    this.lane = sessionLane(id);
    this.#runtime = runtime;
    this.#perform = perform;
    this.#evolution = new Evolution(runtime.host, id, engine, runtime.limits.mailboxDepthMax, restored);
    this.#keptAt = restored?.laneSeq ?? 0;
  }

  /** Undefined until the session is opened. */
  get state(): SessionState | undefined {
    return this.#evolution.state;
  }

  /** Batch of its newest fact: what shows the session waits for it. */
  get lastBatch(): number {
    return this.#lastBatch;
  }

  /** Its newest entry: what it is folded up to. */
  get offset(): number {
    return this.#evolution.place.offset;
  }

  get laneSeq(): number {
    return this.#evolution.laneSeq;
  }

  /** Nothing waits and nothing runs. */
  get isIdle(): boolean {
    return this.#evolution.isIdle;
  }

  /** No activity since `before`; nothing waits or runs, nobody is owed anything, and all that it recorded is durable. */
  restsSince(before: number): boolean {
    const { durable } = this.#runtime.releases;
    if (this.#lastBatch > durable || this.#shownAfter > durable || !this.#evolution.isIdle) return false;
    return this.state!.lastActivityAt <= before;
  }

  /** The chart's state value and context, with its children's; for snapshots and comparison. */
  get snapshot(): unknown {
    return this.#evolution.snapshot;
  }

  is(state: 'preparing' | 'closed'): boolean {
    return this.#evolution.is(state);
  }

  /** No work waits or runs, as far as the chart knows. */
  get rests(): boolean {
    return this.#evolution.rests;
  }

  /** An engine holds the lane, or has not let go of it. */
  get holdsEngine(): boolean {
    return this.#evolution.holdsEngine;
  }

  /** The command whose turn holds the engine. */
  get engineHolder(): string | undefined {
    return this.#evolution.engineHolder;
  }

  laneCan(event: LaneEvent['type']): boolean {
    return this.#evolution.laneCan(event);
  }

  queues(acceptedOffset: number): boolean {
    return this.#evolution.queues(acceptedOffset);
  }

  commandCan(event: CommandEvent['type']): boolean {
    return this.#evolution.commandCan(event);
  }

  /** Records a fact and evolves. What the transition causes outside is held until the fact is durable. */
  record(draft: EntryDraft, at?: number): Entry {
    const entry = this.#runtime.writer.append(this.lane, draft, at);
    this.#lastBatch = this.#runtime.writer.newestBatch;
    for (const intent of this.#take(entry))
      this.#runtime.releases.hold(this.#lastBatch, () => this.#perform(intent, this));
    this.#keptAt ||= this.#evolution.laneSeq;
    if (this.#evolution.laneSeq - this.#keptAt >= this.#runtime.limits.snapshotEvery) this.#keepIfDue();
    const lease = this.state?.lease;
    if (lease !== undefined && lease.deadlineAt - entry.at <= lease.policy.thresholdMs) this.#renew(entry);
    return entry;
  }

  /** Near its end, activity makes the session live longer: in the same batch, or it did not happen. */
  #renew(entry: Entry): void {
    const { lease, createdAt, closed } = this.state!;
    if (closed !== null || entry.at === createdAt || !isActivity(entry)) return;
    const extension = extensionAt(lease, entry.at);
    if (extension !== undefined && this.#evolution.leaseCan(extension.extensions)) this.extend(extension, entry.at);
  }

  extend(extension: { readonly deadlineAt: number; readonly extensions: number }, at: number): void {
    this.record({ kind: 'lease.extended', sessionId: this.id, ...extension, content: {} }, at);
    this.#extended = true;
  }

  /** Shows that the lease was extended, behind what caused it. */
  showExtension(): void {
    if (!this.#extended || this.state === undefined) return;
    this.#extended = false;
    this.show(extendedEvent(this.state.lease), undefined);
  }

  /** Records what its lane comes to. @returns the offset of that entry. */
  compact(ended: readonly number[]): number | undefined {
    const { state } = this;
    if (state === undefined || state.closed !== null) return undefined;
    const { seq, version: sessionVersion } = state;
    // It is written down later than now.
    const content = { state: structuredClone(state) };
    return this.record({ kind: 'lane.compacted', sessionId: this.id, seq, sessionVersion, ended, content }).offset;
  }

  /** Keeps what it is now, so that the next fold begins here; written when all that it shows is durable. */
  keep(): void {
    if (this.#keptAt === this.#evolution.laneSeq) return;
    const whole = this.#evolution.whole;
    if (whole === undefined) return;
    const { counters, journal, limits, redaction, releases, telemetry } = this.#runtime;
    this.#keptAt = whole.laneSeq;
    // What is stored is the fold of what is stored.
    const state = redaction?.state(whole.state) ?? whole.state;
    const snapshot = snapshotOf(this.lane, { ...whole, state }, limits);
    counters.snapshots.kept += 1;
    releases.hold(this.#lastBatch, () => {
      // Given up meanwhile: it may be that a defect had touched it.
      if (this.#stopped) return;
      journal.keepSnapshot(snapshot, (error) => {
        counters.snapshots.failed += 1;
        telemetry.observe({ level: 'warn', message: 'snapshot not kept', error: error.message, sessionId: this.id });
      });
    });
  }

  /** The longer the lane, the rarer: what is written of a long conversation stays in proportion to it. */
  #keepIfDue(): void {
    const { laneSeq } = this.#evolution;
    if (laneSeq - this.#keptAt >= laneSeq / KEPT_AGAIN_PARTS) this.keep();
  }

  /** Evolves by an entry that is durable. Its chart sleeps meanwhile. */
  fold(entry: Entry): void {
    const isNew = this.state === undefined;
    this.#evolution.fold(entry);
    this.#noteLife(entry, isNew);
    // A lane that was used by an earlier session of the name does not count.
    this.#keptAt ||= entry.laneSeq;
  }

  /** Everything is folded that there is. */
  wake(): void {
    this.#evolution.wake();
  }

  #take(entry: Entry): readonly Intent[] {
    const isNew = this.state === undefined;
    const intents = this.#evolution.take(entry);
    this.#noteLife(entry, isNew);
    return intents;
  }

  #noteLife(entry: Entry, isNew: boolean): void {
    const { expired } = this.#runtime;
    if (entry.kind === 'session.expired') expired.add(this.id);
    else if (isNew && this.state !== undefined) expired.delete(this.id);
  }

  /** Work that was accepted before the session existed is in its lane from now on. Its deadline was armed then. */
  enterLane(acceptedOffset: number, commandId: string, deadlineAt: number | undefined): void {
    this.#evolution.enterLane(acceptedOffset, commandId, deadlineAt);
  }

  /** Tells the chart what no entry says: a volatile step around the session's existence. */
  tell(event: Parameters<Evolution['tell']>[0]): void {
    const intents = this.#evolution.tell(event);
    const batch = this.#runtime.writer.newestBatch;
    for (const intent of intents) this.#runtime.releases.hold(batch, () => this.#perform(intent, this));
  }

  /** Shows durable events, of which the last one has the number `seq`. Most sessions have nobody to show them to. */
  publish(events: readonly SessionEvent[], { epoch, seq }: { readonly epoch: string; readonly seq: number }): void {
    const { frames, subscriptions } = this.#runtime;
    if (!subscriptions.isWatched(this.id)) return;
    const before = seq - events.length;
    events.forEach((event, index) => {
      subscriptions.publish(this.id, eventFrame(frames, this.id, epoch, before + index + 1, event, undefined));
    });
  }

  /** Records a durable event of the running turn and shows it when it is durable. */
  emit(commandId: string | undefined, event: SessionEvent): void {
    const { state } = this;
    if (state === undefined) return;
    const seq = state.seq + 1;
    const { frames, releases, subscriptions } = this.#runtime;
    this.record({
      kind: 'session.event',
      sessionId: this.id,
      ...(commandId !== undefined && { commandId }),
      seq,
      eventType: event.type,
      content: { event },
    });
    const frame = eventFrame(frames, this.id, state.epoch, seq, event, undefined);
    releases.hold(this.#lastBatch, () => subscriptions.publish(this.id, frame));
    this.showExtension();
  }

  /** What is shown from now on waits for this batch: whoever attached with it has not seen it in the snapshot. */
  showAfter(batch: number): void {
    this.#shownAfter = Math.max(this.#shownAfter, batch);
  }

  /** Shows an event that is not journalled, behind all durable ones before it. */
  show(event: SessionEvent, partial: EventPartial | undefined): void {
    const { state } = this;
    if (state === undefined) return;
    if (isDurable(event)) throw new Error(`The event '${event.type}' is durable and has to be recorded.`);
    const { frames, releases, subscriptions } = this.#runtime;
    const frame = eventFrame(frames, this.id, state.epoch, state.seq, event, partial);
    const batch = Math.max(this.#lastBatch, this.#shownAfter);
    releases.hold(batch, () => subscriptions.publish(this.id, frame));
  }

  stop(): void {
    this.#stopped = true;
    this.#evolution.stop();
  }
}

/** The unfinished message at the time of an event, for clients that want it whole. */
export type EventPartial = Parameters<typeof eventFrame>[5];
