/**
 * A session's data and its chart, and how an entry changes both: the one fold, live, at recovery and for those who look back.
 *
 * It knows entries and nothing of the runtime around it. What the chart wants done outside comes back as intents: whoever
 * recorded the entry holds them until it is durable, whoever folds drops them. While it folds the chart sleeps: it is told what
 * it missed when somebody asks for it (see `owed-steps.ts`). State: durable.
 */
import type { CommandEvent } from '../../machines/command.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import type { SessionInput } from '../../machines/session.ts';
import { sessionLane } from '../entry.ts';
import type { Entry } from '../entry.ts';
import type { Host, Intent } from '../host.ts';
import { announcedBy, stepsOf } from './chart-step.ts';
import type { ChartSteps } from './chart-step.ts';
import { evolve } from './evolve.ts';
import { OwedSteps } from './owed-steps.ts';
import { SessionChart } from './session-chart.ts';
import type { VolatileStep } from './session-chart.ts';
import type { SessionState } from './session-state.ts';
import type { LanePlace, SessionFold } from './session-fold.ts';

const NOTHING: readonly Intent[] = Object.freeze([]);

export class Evolution {
  readonly #host: Host;
  readonly #journalLane: string;
  readonly #input: SessionInput;
  #state: SessionState | undefined;
  /** Undefined while it sleeps. */
  #chart: SessionChart | undefined;
  /** There while the chart sleeps. */
  #owed: OwedSteps | undefined;
  #stopped = false;
  #offset: number;
  #laneSeq: number;

  /** @throws when it is to be restored from what is no state of its chart. */
  constructor(host: Host, id: string, engine: string, mailboxDepthMax: number, restored?: SessionFold) {
    this.#host = host;
    this.#journalLane = sessionLane(id);
    this.#input = { sessionId: id, engine, mailboxDepthMax };
    this.#state = restored?.state;
    this.#offset = restored?.offset ?? 0;
    this.#laneSeq = restored?.laneSeq ?? 0;
    if (restored === undefined) this.#owed = new OwedSteps(mailboxDepthMax);
    else this.#chart = new SessionChart(host, this.#input, restored);
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
    const { snapshot: chart, queued } = this.#awake();
    return { ...this.place, state, chart, queued };
  }

  /** Nothing waits and nothing runs. */
  get isIdle(): boolean {
    return this.#state?.turn === null && this.#awake().isIdle;
  }

  /** Undefined until the session is opened. */
  get state(): SessionState | undefined {
    return this.#state;
  }

  /** The chart's state value and context, with its children's; for snapshots and comparison. */
  get snapshot(): unknown {
    return this.#awake().snapshot;
  }

  is(state: 'preparing' | 'closed'): boolean {
    return this.#awake().is(state);
  }

  /** No work waits or runs. */
  get rests(): boolean {
    return this.#awake().rests;
  }

  /** An engine holds the lane, or has not let go of it. */
  get holdsEngine(): boolean {
    return this.#awake().holdsEngine;
  }

  /** The command whose turn holds the engine. */
  get engineHolder(): string | undefined {
    return this.#awake().engineHolder;
  }

  /** Asks the chart whether the lane takes or starts one more. */
  laneCan(event: LaneEvent['type']): boolean {
    return this.#awake().laneCan(event);
  }

  /** The work is counted by the lane's chart. */
  queues(acceptedOffset: number): boolean {
    return (this.#chart ?? this.#owed!).queues(acceptedOffset);
  }

  /** Asks the chart of the running turn's command whether this may still be its outcome. */
  commandCan(event: CommandEvent['type']): boolean {
    return this.#awake().commandCan(event);
  }

  /** Asks the chart of the lease, which is there once the end is near. */
  leaseCan(extensions: number): boolean {
    return this.#awake().leaseCan(extensions);
  }

  /** By an entry that was recorded just now. */
  take(entry: Entry): readonly Intent[] {
    const steps = this.#evolve(entry);
    return steps === undefined ? NOTHING : this.#awake().take(steps);
  }

  /** By an entry of long ago: nothing is done about it any more. */
  fold(entry: Entry): void {
    const steps = this.#evolve(entry);
    if (steps !== undefined) this.#owe(steps);
  }

  /** Work that was accepted before the session existed is in its lane from now on. Its deadline was armed then. */
  enterLane(offset: number, commandId: string, deadlineAt: number | undefined): void {
    this.#owe([{ type: 'accepted', offset, commandId, deadlineAt }]);
  }

  /** Tells the chart what no entry says: a volatile step around the session's existence. */
  tell(event: VolatileStep): readonly Intent[] {
    return this.#awake().tell(event);
  }

  /** Everything is folded that there is: the chart runs from now on. */
  wake(): void {
    this.#awake();
  }

  stop(): void {
    this.#stopped = true;
    this.#chart?.stop();
  }

  #evolve(entry: Entry): ChartSteps | undefined {
    const turn = this.#state?.turn ?? null;
    const silent = turn !== null && !turn.agentOpen && !turn.turnOpen;
    const begins = this.#state === undefined && entry.kind === 'lane.compacted';
    this.#state = evolve(this.#state, entry);
    this.#offset = entry.offset;
    this.#laneSeq = entry.laneSeq;
    if (begins && this.#state !== undefined) return this.#begin(this.#state);
    return stepsOf(entry, this.#journalLane, turn, silent, this.#state);
  }

  /** Folding begins in the middle: the chart is told what it has not seen. */
  #begin(state: SessionState): ChartSteps | undefined {
    this.#owe([{ type: 'opened' }]);
    return state.lease.announced ? [announcedBy(state)] : undefined;
  }

  #owe(steps: ChartSteps): void {
    if (this.#owed?.take(steps) === true) return;
    this.#awake().take(steps);
  }

  #awake(): SessionChart {
    if (this.#chart !== undefined) return this.#chart;
    const chart = new SessionChart(this.#host, this.#input);
    for (const steps of this.#owed!.all) chart.take(steps);
    this.#owed = undefined;
    this.#chart = chart;
    if (this.#stopped) chart.stop();
    return chart;
  }
}
