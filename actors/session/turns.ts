/**
 * The turn that holds a session's work lane: started, nudged, completed, or ended from outside.
 *
 * A turn that is ended from outside has its outcome at once; the lane stays held until the engine has let go. State: durable,
 * but for the run itself.
 */
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { Failure, Json, RunningTurn } from '../message.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Engine, TurnResult } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import { closingEvents } from './evolve.ts';
import type { QueueMode } from './event.ts';
import type { Session } from './session.ts';
import { TurnRun } from './turn-run.ts';
import type { Guard } from './turn-run.ts';

export class Turns {
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  /** The engine has let go; the turn was ended from outside before if there is a result to tell. */
  readonly #onReleased: (commandId: string, result: TurnResult | undefined) => void;
  readonly #guard: Guard;
  #run: TurnRun | undefined;
  /** Of a turn that ended with the session before this one was rebuilt. */
  #adopted: TurnRun | undefined;

  constructor(
    runtime: Runtime,
    outcomes: Outcomes,
    guard: Guard,
    onReleased: (commandId: string, result: TurnResult | undefined) => void,
  ) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#guard = guard;
    this.#onReleased = onReleased;
  }

  /** The command of the running turn; undefined as soon as it has its outcome. */
  get command(): Command | undefined {
    return this.#run?.command.outcome === undefined ? this.#run?.command : undefined;
  }

  /** What those who attach in the middle get to see of it. */
  get running(): RunningTurn | undefined {
    const { command } = this;
    if (command === undefined) return undefined;
    const { commandId } = command;
    const partial = this.#run?.partial;
    const text = partial?.text ?? '';
    return partial?.truncated === true ? { commandId, text, truncated: true } : { commandId, text };
  }

  /** One more message would be too many: for the running turn, or for the next one. */
  messageRefusal(session: Session): Failure | undefined {
    const { queuedMessagesMax } = this.#runtime.limits;
    const { steers, followUps } = session.state!;
    const waiting = steers.length + followUps.length + (this.#run?.undelivered.length ?? 0);
    if (waiting < queuedMessagesMax) return undefined;
    return failure('MAILBOX_FULL', `Too many messages wait for the next turn (max ${queuedMessagesMax})`);
  }

  /** The engine that the session was made for, if this server has it. */
  engineOf(session: Session): Engine | Failure {
    const kind = session.state!.engine;
    const missing = `The engine '${kind}' of this session is not part of this server`;
    return this.#runtime.engines.get(kind) ?? failure('ENGINE_UNAVAILABLE', missing);
  }

  /** Records the start. The engine is called when that is durable. */
  start(session: Session, engine: Engine, command: Command, input: Json): void {
    const { steers, followUps } = session.state!;
    const opening = { input, steers, followUps };
    const run = new TurnRun(this.#runtime, session, engine, command, opening, this.#guard, (result) =>
      this.#returned(session, run, result),
    );
    this.#run = run;
    session.record({
      kind: 'command.started',
      commandId: command.commandId,
      sessionId: session.id,
      acceptedOffset: command.acceptedOffset,
      attempt: command.attempt + 1,
      content: { turn: input },
    });
    command.attempt += 1;
    command.started = true;
    const { frames, subscriptions } = this.#runtime;
    this.#outcomes.hold(command.origin, session.lastBatch, () => {
      subscriptions.announceLifecycle(frames.started(command), command.origin);
    });
    this.#outcomes.answerEarly(command, session.lastBatch);
  }

  /** The start is durable. */
  call(): void {
    this.#run?.start();
  }

  /** The session is being rebuilt: its engine is told to stop, and handed over if it has not let go. */
  detach(): TurnRun | undefined {
    const run = this.#run ?? this.#adopted;
    this.#run = undefined;
    this.#adopted = undefined;
    run?.detach(this.#runtime.limits.drainMs);
    return run?.holds === true ? run : undefined;
  }

  /** The engine of a turn that ended with the session before it was rebuilt: it holds the lane until it lets go. */
  adopt(run: TurnRun): void {
    this.#adopted = run;
    run.handOver((result) =>
      this.#guard(() => {
        this.#adopted = undefined;
        this.#onReleased(run.command.commandId, result);
      }),
    );
  }

  /** The end of the turn is durable. By then its engine may have let go, and the next turn may run. */
  signal(commandId: string): void {
    if (this.#run?.command.commandId === commandId) this.#run.abort(this.#runtime.limits.drainMs);
  }

  /** A message for the running turn was recorded: it goes to the engine once it is durable. */
  nudge(session: Session, mode: QueueMode, message: Json): void {
    const run = this.#run;
    if (run === undefined || this.command === undefined) return;
    const nudge = run.nudge(mode, message);
    this.#runtime.releases.hold(session.lastBatch, () => run.deliver(nudge));
  }

  /** Ends the running turn from outside. */
  interrupt(session: Session, outcome: Failure): void {
    const run = this.#run;
    if (run === undefined || this.command === undefined) return;
    if (!session.commandCan(outcome.timedOut === true ? 'command.timedOut' : 'command.cancelled')) return;
    const events = closingEvents(session.state!, outcome.error, run.unfinished);
    run.close();
    const facts = [{ type: 'queue.cleared' } as const];
    this.#outcomes.settle(run.command, { outcome, events, facts, interrupted: true }, session);
  }

  #returned(session: Session, run: TurnRun, result: TurnResult): void {
    const interrupted = run.command.outcome !== undefined;
    if (!interrupted) this.#complete(session, run, result);
    // Only now: should the end not be recorded, the command is still the one of the running turn. The next one may run by now.
    if (this.#run === run) this.#run = undefined;
    this.#onReleased(run.command.commandId, interrupted ? result : undefined);
  }

  #complete(session: Session, run: TurnRun, result: TurnResult): void {
    const completed = result.status === 'completed';
    const outcome = completed
      ? ({ success: true } as const)
      : failure(result.errorCode ?? 'ENGINE_FAILED', result.message, { kind: result.kind });
    if (!completed) this.#report(run.command, result.message);
    if (!session.commandCan(completed ? 'command.succeeded' : 'command.failed')) return;
    // A message that came too late for the engine waits for the next turn.
    const facts = run.undelivered.map(({ mode, message }) => ({ type: 'message.queued', mode, message }) as const);
    const events = closingEvents(session.state!, 'The engine ended the turn', run.unfinished);
    run.close();
    const resume = result.resume === undefined ? {} : { resume: result.resume };
    this.#outcomes.settle(run.command, { outcome, events, facts, ...resume }, session);
  }

  #report(command: Command, error: string): void {
    const { commandId, sessionId } = command;
    const ids = sessionId === undefined ? { commandId } : { commandId, sessionId };
    this.#runtime.telemetry.observe({ level: 'warn', message: 'turn failed', error, ...ids });
  }
}
