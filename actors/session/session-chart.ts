/**
 * The chart of a session, running: with the children it has while there is work or its end is near, and with the work that
 * waits in its lane by name.
 *
 * It is told steps and asked what may come next. What a step wants done outside comes back as intents. State: durable.
 */
import type { Actor } from 'xstate';
import type { CommandEvent } from '../../machines/command.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import { sessionMachine } from '../../machines/session.ts';
import type { SessionEvent as ChartEvent, SessionInput } from '../../machines/session.ts';
import type { TurnEvent } from '../../machines/turn.ts';
import type { Host, Intent } from '../host.ts';
import type { ChartStep, ChartSteps, WorkAccepted } from './chart-step.ts';

/** A step around the session's existence that no entry says. */
export type VolatileStep = Extract<ChartEvent, { type: 'engine.awaited' | 'opening.failed' | 'engine.released' }>;

/** What a chart is restored from, as XState persists it, and what waits in its lane. */
export interface KeptChart {
  readonly chart: unknown;
  readonly queued: readonly number[];
}

export class SessionChart {
  readonly #host: Host;
  readonly #actor: Actor<typeof sessionMachine>;
  /** Work that waits in the lane, by the offset of its acceptance; not there while nothing does. */
  #queued: Set<number> | undefined;

  /** @throws when it is to be restored from what is no state of it. */
  constructor(host: Host, input: SessionInput, kept?: KeptChart) {
    this.#host = host;
    this.#actor = host.start(sessionMachine, `session:${input.sessionId}`, input, undefined, kept?.chart);
    if (kept !== undefined && kept.queued.length > 0) this.#queued = new Set(kept.queued);
  }

  /** Its state value and context, with its children's, as XState persists them. */
  get snapshot(): unknown {
    return this.#actor.getPersistedSnapshot();
  }

  /** Offsets of the acceptances that wait in the lane. */
  get queued(): readonly number[] {
    return [...(this.#queued ?? [])];
  }

  /** Nothing waits and nothing runs. */
  get isIdle(): boolean {
    return this.#queued === undefined && this.#actor.getSnapshot().matches({ active: 'idle' });
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

  is(state: 'preparing' | 'closed'): boolean {
    return this.#actor.getSnapshot().matches(state);
  }

  /** Whether the lane takes or starts one more. An idle lane has no chart and takes anything. */
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

  take(steps: ChartSteps): readonly Intent[] {
    return this.#host.collect(() => {
      for (const step of steps) this.#take(step);
      this.#drain();
    });
  }

  tell(event: VolatileStep): readonly Intent[] {
    return this.#host.collect(() => this.#send(event));
  }

  stop(): void {
    this.#host.stop(this.#actor);
  }

  #take(step: ChartStep): void {
    switch (step.type) {
      case 'opened':
        return this.#send({ type: 'session.opened' });
      case 'closed':
        return this.#send({ type: 'session.closed' });
      case 'accepted':
        return this.#queue(step);
      case 'started':
        return this.#start(step);
      case 'spoke':
        return this.#turn('engine.spoke');
      case 'ended':
        return step.turn ? this.#endTurn(step) : this.#withdraw(step.acceptedOffset);
      case 'released':
        this.#turn('engine.released');
        this.#send({ type: 'engine.released' });
        return this.#lane('lane.resumed');
      case 'announced': {
        const { extensions, extensionsMax } = step;
        this.#send({ type: 'expiry.announced', extensions, extensionsMax });
        this.#child('lease')?.send({ type: 'expiry.announced' });
        return;
      }
      case 'extended':
        this.#child('lease')?.send({ type: 'lease.extended', extensions: step.extensions });
        return this.#send({ type: 'lease.extended' });
      case 'expired':
        this.#child('lease')?.send({ type: 'session.expired' });
        return this.#send({ type: 'session.expired' });
      default:
        step satisfies never;
    }
  }

  /** What an earlier server with more room accepted may be too much for the lane: it enters when it comes to its head. */
  #queue({ offset, commandId, deadlineAt }: WorkAccepted): void {
    this.#send({ type: 'work.accepted', commandId, deadlineAt });
    if (!this.laneCan('work.queued')) return;
    this.#queued ??= new Set();
    this.#queued.add(offset);
    this.#lane('work.queued');
  }

  #start({ acceptedOffset, commandId, attempt, turn }: Extract<ChartStep, { type: 'started' }>): void {
    // Accepted before there was a session, it is in its lane from its start on at the latest.
    if (!this.queues(acceptedOffset))
      this.#queue({ type: 'accepted', offset: acceptedOffset, commandId, deadlineAt: undefined });
    this.#queued?.delete(acceptedOffset);
    this.#lane('work.started');
    if (!turn) return;
    this.#send({ type: 'turn.started', commandId, attempt });
    for (const type of ['command.admitted', 'command.queued', 'command.started'] as const) this.#command(type);
  }

  #endTurn({ success, interrupted, timedOut }: Extract<ChartStep, { type: 'ended' }>): void {
    this.#lane('work.finished');
    if (interrupted) {
      this.#command(timedOut ? 'command.timedOut' : 'command.cancelled');
      this.#turn('turn.interrupted');
      this.#send({ type: 'turn.interrupted' });
      this.#lane('lane.paused');
      return;
    }
    this.#command(success ? 'command.succeeded' : 'command.failed');
    this.#turn(success ? 'turn.completed' : 'turn.failed');
    this.#send({ type: 'turn.settled' });
  }

  /** Control that stood aside for a dependency ends like this too, and was never in the lane. */
  #withdraw(acceptedOffset: number): void {
    if (this.#queued?.delete(acceptedOffset) === true) this.#lane('work.withdrawn');
  }

  #drain(): void {
    if (this.#child('lane')?.getSnapshot().matches('idle') !== true) return;
    this.#queued = undefined;
    this.#send({ type: 'work.drained' });
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
