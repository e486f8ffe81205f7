/**
 * A session's data and its chart, and how an entry changes both: the one fold, live, at recovery and for those who look back.
 *
 * It knows entries and nothing of the runtime around it. What the chart wants done outside comes back as intents: whoever
 * recorded the entry holds them until it is durable, whoever folds drops them. State: durable.
 */
import type { Actor } from 'xstate';
import type { CommandEvent } from '../../machines/command.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import { sessionMachine } from '../../machines/session.ts';
import type { SessionEvent as ChartEvent } from '../../machines/session.ts';
import type { TurnEvent } from '../../machines/turn.ts';
import { sessionLane } from '../entry.ts';
import type { CommandFinished, Entry } from '../entry.ts';
import type { Host, Intent } from '../host.ts';
import { evolve } from './evolve.ts';
import type { SessionState } from './session-state.ts';
import type { LanePlace, SessionFold } from './session-fold.ts';

export class Evolution {
  readonly #host: Host;
  readonly #journalLane: string;
  readonly #actor: Actor<typeof sessionMachine>;
  #state: SessionState | undefined;
  /** Work that waits in the lane, by the offset of its acceptance; not there while nothing does. */
  #queued: Set<number> | undefined;

  #offset: number;
  #laneSeq: number;

  /** @throws when it is to be restored from what is no state of its chart. */
  constructor(host: Host, id: string, engine: string, mailboxDepthMax: number, restored?: SessionFold) {
    this.#host = host;
    this.#journalLane = sessionLane(id);
    const input = { sessionId: id, engine, mailboxDepthMax };
    this.#actor = host.start(sessionMachine, `session:${id}`, input, undefined, restored?.chart);
    this.#state = restored?.state;
    this.#offset = restored?.offset ?? 0;
    this.#laneSeq = restored?.laneSeq ?? 0;
    if (restored !== undefined && restored.queued.length > 0) this.#queued = new Set(restored.queued);
  }

  /** Its newest entry: what it is folded up to. */
  get place(): LanePlace {
    return { offset: this.#offset, laneSeq: this.#laneSeq };
  }

  get laneSeq(): number {
    return this.#laneSeq;
  }

  /** All of it, for who goes on from here; undefined while there is nothing to go on with. */
  get whole(): SessionFold | undefined {
    const state = this.#state;
    if (state === undefined || state.closed !== null) return undefined;
    return { ...this.place, state, chart: this.snapshot, queued: [...(this.#queued ?? [])] };
  }

  /** Nothing waits and nothing runs. */
  get isIdle(): boolean {
    const rests = this.#state?.turn === null && this.#queued === undefined;
    return rests && this.#actor.getSnapshot().matches({ active: 'idle' });
  }

  /** Undefined until the session is opened. */
  get state(): SessionState | undefined {
    return this.#state;
  }

  /** The chart's state value and context, with its children's; for snapshots and comparison. */
  get snapshot(): unknown {
    return this.#actor.getPersistedSnapshot();
  }

  is(state: 'preparing' | 'closed'): boolean {
    return this.#actor.getSnapshot().matches(state);
  }

  /** No work waits or runs. */
  get rests(): boolean {
    return this.#child('lane') === undefined;
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

  /** Asks the chart of the lease, which is there once the end is near. */
  leaseCan(extensions: number): boolean {
    return this.#child('lease')?.getSnapshot().can({ type: 'lease.extended', extensions }) ?? true;
  }

  take(entry: Entry): readonly Intent[] {
    return this.#host.collect(() => this.#apply(entry));
  }

  /** Work that was accepted before the session existed is in its lane from now on. Its deadline was armed then. */
  enterLane(acceptedOffset: number, commandId: string, deadlineAt: number | undefined): void {
    this.#host.collect(() => this.#queue(acceptedOffset, commandId, deadlineAt));
  }

  /** Tells the chart what no entry says: a volatile step around the session's existence. */
  tell(
    event: Extract<ChartEvent, { type: 'engine.awaited' | 'opening.failed' | 'engine.released' }>,
  ): readonly Intent[] {
    return this.#host.collect(() => this.#send(event));
  }

  stop(): void {
    this.#host.stop(this.#actor);
  }

  #apply(entry: Entry): void {
    const turn = this.#state?.turn ?? null;
    const silent = turn !== null && !turn.agentOpen && !turn.turnOpen;
    this.#state = evolve(this.#state, entry);
    this.#offset = entry.offset;
    this.#laneSeq = entry.laneSeq;
    switch (entry.kind) {
      case 'command.accepted':
        if (entry.mailbox !== 'work' || entry.lane !== this.#journalLane) break;
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
        if (entry.eventType === 'session_expiring') this.#announce();
        else if (silent) this.#turn('engine.spoke');
        break;
      case 'lease.extended':
        this.#lease('lease.extended', entry.extensions);
        this.#send({ type: 'lease.extended' });
        break;
      case 'session.expired':
        this.#lease('session.expired');
        this.#send({ type: 'session.expired' });
        break;
      case 'command.finished':
        this.#finish(entry, turn?.acceptedOffset === entry.acceptedOffset);
        break;
      case 'turn.released':
        this.#turn('engine.released');
        this.#send({ type: 'engine.released' });
        this.#lane('lane.resumed');
        break;
      case 'session.purged':
        this.#send({ type: 'session.closed' });
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

  #announce(): void {
    const { extensions, policy } = this.#state!.lease;
    this.#send({ type: 'expiry.announced', extensions, extensionsMax: policy.extensionsMax });
    this.#child('lease')?.send({ type: 'expiry.announced' });
  }

  #lease(type: 'lease.extended' | 'session.expired', extensions = 0): void {
    this.#child('lease')?.send({ type, extensions });
  }

  #child<Name extends 'lane' | 'command' | 'turn' | 'lease'>(name: Name) {
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
