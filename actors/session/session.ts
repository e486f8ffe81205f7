/**
 * The session actor: its data, its chart, and the one way by which both change.
 *
 * `record` puts a fact into the journal's open batch and at once evolves data and chart; what the chart wants done outside is
 * held until that batch is durable. `fold` does the same with entries that are durable already, and drops the intents: what is
 * still owed after a restart is derived at recovery. Wiring only: which command may do what is the mailbox's business.
 * State: durable.
 */
import type { Actor } from 'xstate';
import type { CommandEvent } from '../../machines/command.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import { sessionMachine } from '../../machines/session.ts';
import type { SessionEvent as ChartEvent } from '../../machines/session.ts';
import type { TurnEvent } from '../../machines/turn.ts';
import { sessionLane } from '../entry.ts';
import type { CommandFinished, Entry, EntryDraft } from '../entry.ts';
import type { Intent } from '../host.ts';
import type { Runtime } from '../runtime.ts';
import { isDurable } from './event.ts';
import type { SessionEvent } from './event.ts';
import { eventFrame } from './event-frame.ts';
import { evolve } from './evolve.ts';
import type { SessionState } from './session-state.ts';

export class Session {
  readonly id: string;
  readonly lane: string;
  readonly #runtime: Runtime;
  readonly #actor: Actor<typeof sessionMachine>;
  readonly #perform: (intent: Intent, session: Session) => void;
  #state: SessionState | undefined;
  #lastBatch = 0;
  /** An attach takes effect with this batch: what is not journalled does not overtake it. */
  #shownAfter = 0;
  /** Work that waits in the lane, by the offset of its acceptance; not there while nothing does. */
  #queued: Set<number> | undefined;

  constructor(runtime: Runtime, id: string, engine: string, perform: (intent: Intent, session: Session) => void) {
    this.id = id;
    this.lane = sessionLane(id);
    this.#runtime = runtime;
    this.#perform = perform;
    const input = { sessionId: id, engine, mailboxDepthMax: runtime.limits.mailboxDepthMax };
    this.#actor = runtime.host.start(sessionMachine, `session:${id}`, input);
  }

  /** Undefined until the session is opened. */
  get state(): SessionState | undefined {
    return this.#state;
  }

  /** Batch of its newest fact: what shows the session waits for it. */
  get lastBatch(): number {
    return this.#lastBatch;
  }

  /** The chart's state value and context, with its children's; for snapshots and comparison. */
  get snapshot(): unknown {
    return this.#actor.getPersistedSnapshot();
  }

  is(state: 'preparing' | 'closed'): boolean {
    return this.#actor.getSnapshot().matches(state);
  }

  /** An engine holds the lane, or has not let go of it. */
  get holdsEngine(): boolean {
    return this.#child('turn') !== undefined;
  }

  /** The command whose turn holds the engine. */
  get engineHolder(): string | undefined {
    return this.#child('turn')?.getSnapshot().context.commandId;
  }

  /** Asks the chart whether the lane takes or starts one more. An idle lane has no chart and takes anything. */
  laneCan(event: LaneEvent['type']): boolean {
    const lane = this.#child('lane');
    return lane === undefined ? event !== 'work.started' : lane.getSnapshot().can({ type: event });
  }

  /** The work is counted by the lane's chart. */
  queues(acceptedOffset: number): boolean {
    return this.#queued?.has(acceptedOffset) === true;
  }

  /** Asks the chart of the running turn's command whether this may still be its outcome. */
  commandCan(event: CommandEvent['type']): boolean {
    return this.#child('command')?.getSnapshot().can({ type: event }) ?? false;
  }

  /** Records a fact and evolves. What the transition causes outside is held until the fact is durable. */
  record(draft: EntryDraft, at?: number): Entry {
    const entry = this.#runtime.writer.append(this.lane, draft, at);
    this.#lastBatch = this.#runtime.writer.newestBatch;
    const intents = this.#runtime.host.collect(() => this.#apply(entry));
    for (const intent of intents) this.#runtime.releases.hold(this.#lastBatch, () => this.#perform(intent, this));
    return entry;
  }

  /** Evolves by an entry that is durable. */
  fold(entry: Entry): void {
    this.#runtime.host.collect(() => this.#apply(entry));
  }

  /** Work that was accepted before the session existed is in its lane from now on. Its deadline was armed then. */
  enterLane(acceptedOffset: number, commandId: string, deadlineAt: number | undefined): void {
    this.#runtime.host.collect(() => this.#queue(acceptedOffset, commandId, deadlineAt));
  }

  /** Tells the chart what no entry says: a volatile step around the session's existence. */
  tell(event: Extract<ChartEvent, { type: 'engine.awaited' | 'opening.failed' | 'engine.released' }>): void {
    const intents = this.#runtime.host.collect(() => this.#send(event));
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
  emit(commandId: string, event: SessionEvent): void {
    const state = this.#state;
    if (state === undefined) return;
    const seq = state.seq + 1;
    const { frames, releases, subscriptions } = this.#runtime;
    this.record({
      kind: 'session.event',
      sessionId: this.id,
      commandId,
      seq,
      eventType: event.type,
      content: { event },
    });
    const frame = eventFrame(frames, this.id, state.epoch, seq, event, undefined);
    releases.hold(this.#lastBatch, () => subscriptions.publish(this.id, frame));
  }

  /** What is shown from now on waits for this batch: whoever attached with it has not seen it in the snapshot. */
  showAfter(batch: number): void {
    this.#shownAfter = Math.max(this.#shownAfter, batch);
  }

  /** Shows an event that is not journalled, behind all durable ones before it. */
  show(event: SessionEvent, partial: EventPartial | undefined): void {
    const state = this.#state;
    if (state === undefined) return;
    if (isDurable(event)) throw new Error(`The event '${event.type}' is durable and has to be recorded.`);
    const { frames, releases, subscriptions } = this.#runtime;
    const frame = eventFrame(frames, this.id, state.epoch, state.seq, event, partial);
    const batch = Math.max(this.#lastBatch, this.#shownAfter);
    releases.hold(batch, () => subscriptions.publish(this.id, frame));
  }

  stop(): void {
    this.#runtime.host.stop(this.#actor);
  }

  #apply(entry: Entry): void {
    const turn = this.#state?.turn ?? null;
    const silent = turn !== null && !turn.agentOpen && !turn.turnOpen;
    this.#state = evolve(this.#state, entry);
    switch (entry.kind) {
      case 'command.accepted':
        if (entry.mailbox !== 'work' || entry.lane !== this.lane) break;
        this.#queue(entry.offset, entry.commandId, entry.deadlineAt);
        break;
      case 'command.started':
        // Accepted before there was a session, it is in its lane from its start on at the latest.
        if (!this.queues(entry.acceptedOffset)) this.#queue(entry.acceptedOffset, entry.commandId, undefined);
        this.#queued?.delete(entry.acceptedOffset);
        this.#lane('work.started');
        if (entry.content.turn === undefined) break;
        this.#send({ type: 'turn.started', commandId: entry.commandId, attempt: entry.attempt });
        for (const type of ['command.admitted', 'command.queued', 'command.started'] as const) this.#command(type);
        break;
      case 'session.event':
        if (silent) this.#turn('engine.spoke');
        break;
      case 'command.finished':
        this.#finish(entry, turn?.acceptedOffset === entry.acceptedOffset);
        break;
      case 'turn.released':
        this.#turn('engine.released');
        this.#send({ type: 'engine.released' });
        this.#lane('lane.resumed');
        break;
      default:
        break;
    }
    if (entry.kind === 'command.settled' || entry.kind === 'command.finished') {
      for (const fact of entry.content.facts ?? []) {
        if (fact.type === 'session.opened' || fact.type === 'session.closed') this.#send({ type: fact.type });
      }
    }
    if (!this.#laneIsIdle()) return;
    this.#queued = undefined;
    this.#send({ type: 'work.drained' });
  }

  #finish(entry: CommandFinished, endsTurn: boolean): void {
    if (!endsTurn) {
      // Control that stood aside for a dependency ends like this too, and was never in the lane.
      if (this.#queued?.delete(entry.acceptedOffset) === true) this.#lane('work.withdrawn');
      return;
    }
    this.#lane('work.finished');
    if (entry.interrupted === true) {
      this.#command(entry.timedOut === true ? 'command.timedOut' : 'command.cancelled');
      this.#turn('turn.interrupted');
      this.#send({ type: 'turn.interrupted' });
      this.#lane('lane.paused');
      return;
    }
    this.#command(entry.success ? 'command.succeeded' : 'command.failed');
    this.#turn(entry.success ? 'turn.completed' : 'turn.failed');
    this.#send({ type: 'turn.settled' });
  }

  /** What an earlier server with more room accepted may be too much for the lane: it enters when it comes to its head. */
  #queue(acceptedOffset: number, commandId: string, deadlineAt: number | undefined): void {
    this.#send({ type: 'work.accepted', commandId, deadlineAt });
    if (!this.laneCan('work.queued')) return;
    this.#queued ??= new Set();
    this.#queued.add(acceptedOffset);
    this.#lane('work.queued');
  }

  #laneIsIdle(): boolean {
    return this.#child('lane')?.getSnapshot().matches('idle') ?? false;
  }

  #child<Name extends 'lane' | 'command' | 'turn'>(name: Name) {
    return this.#actor.getSnapshot().children[name];
  }

  #send(event: ChartEvent): void {
    this.#actor.send(event);
  }

  #lane(type: LaneEvent['type']): void {
    this.#child('lane')?.send({ type });
  }

  #command(type: CommandEvent['type']): void {
    this.#child('command')?.send({ type });
  }

  #turn(type: TurnEvent['type']): void {
    this.#child('turn')?.send({ type });
  }
}

/** The unfinished message at the time of an event, for clients that want it whole. */
export type EventPartial = Parameters<typeof eventFrame>[5];
