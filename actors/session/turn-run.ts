/**
 * One call of an engine: started after the start of the turn is durable, listened to until its command has an outcome, and
 * awaited until the engine has let go. State: volatile; what clients saw of it is in the journal.
 */
import type { Command } from '../command.ts';
import type { Json } from '../message.ts';
import type { Engine, TurnHandle, TurnRequest, TurnResult } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import type { Timer } from '../timer-wheel.ts';
import type { QueueMode, SessionEvent } from './event.ts';
import { isDurable } from './event.ts';
import { PartialMessage } from './partial-message.ts';
import type { Session } from './session.ts';

/** What the next turn gets from before its start. */
export interface TurnOpening {
  readonly input: Json;
  readonly steers: readonly Json[];
  readonly followUps: readonly Json[];
}

/** Runs what an engine or a timer causes; what that throws is a crash of the session. */
export type Guard = (act: () => void) => void;

/** A message for the running turn. */
export interface Nudge {
  readonly mode: QueueMode;
  readonly message: Json;
  /** The engine may have it. */
  durable: boolean;
}

export class TurnRun {
  readonly command: Command;
  readonly #runtime: Runtime;
  readonly #session: Session;
  readonly #engine: Engine;
  readonly #opening: TurnOpening;
  #onFinished: ((result: TurnResult) => void) | undefined;
  #guard: Guard;
  readonly #controller = new AbortController();
  #undelivered: Nudge[] = [];
  #handle: TurnHandle | undefined;
  #partial: PartialMessage | undefined;
  /** A message of another role that has begun: it comes whole, but may end later. */
  #begun: { [key: string]: Json } | undefined;
  #over = false;
  #patience: Timer | undefined;

  constructor(
    runtime: Runtime,
    session: Session,
    engine: Engine,
    command: Command,
    opening: TurnOpening,
    guard: Guard,
    onFinished: (result: TurnResult) => void,
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#engine = engine;
    this.command = command;
    this.#opening = opening;
    this.#guard = guard;
    this.#onFinished = onFinished;
  }

  get sessionId(): string {
    return this.#session.id;
  }

  /** The engine has not let go. */
  get holds(): boolean {
    return this.#result === undefined;
  }

  /** The assistant message that is being streamed. */
  get partial(): PartialMessage | undefined {
    return this.#partial;
  }

  /** The message that clients saw begin and not end, as far as it came. */
  get unfinished(): { [key: string]: Json } | undefined {
    return this.#partial?.snapshot() ?? this.#begun;
  }

  /** Messages that the engine did not take. */
  get undelivered(): readonly Nudge[] {
    return this.#undelivered;
  }

  /** The start is durable: the engine may be called. */
  start(): void {
    const state = this.#session.state;
    if (state === undefined || this.#over) return;
    const request: TurnRequest = {
      sessionId: this.#session.id,
      commandId: this.command.commandId,
      effectId: `${state.epoch}:${this.command.acceptedOffset}:${this.command.attempt}`,
      input: this.#opening.input,
      sessionInput: state.input,
      cwd: state.cwd,
      turn: state.turns,
      messages: state.messages.slice(),
      resume: state.resume,
      steers: this.#opening.steers,
      followUps: this.#opening.followUps,
      signal: this.#controller.signal,
      clock: this.#runtime.clock,
    };
    try {
      const handle = this.#engine.start(request, (event) => this.#guard(() => this.#hear(event)));
      handle.finished.then(
        (result) => this.#guard(() => this.#finish(checked(result))),
        (error: unknown) => this.#guard(() => this.#finish(bug(error))),
      );
      this.#handle = handle;
    } catch (error) {
      this.#finish(bug(error));
      return;
    }
    this.#deliver();
  }

  /** A message for the running turn was recorded. */
  nudge(mode: QueueMode, message: Json): Nudge {
    const nudge = { mode, message, durable: false };
    this.#undelivered.push(nudge);
    return nudge;
  }

  /** The message is durable: the engine gets it, once it was called. */
  deliver(nudge: Nudge): void {
    nudge.durable = true;
    this.#deliver();
  }

  /** The command has its outcome: nothing that the engine says from now on is heard. */
  close(): void {
    this.#over = true;
    this.#partial = undefined;
    this.#begun = undefined;
    this.#undelivered = [];
  }

  /** The engine is told to stop; if it has not let go within `patienceMs`, it is left to itself. */
  abort(patienceMs: number): void {
    this.#controller.abort();
    if (this.#handle === undefined) {
      this.#finish({ status: 'failed', kind: 'user', message: 'aborted' });
      return;
    }
    this.#patience = this.#runtime.wheel.arm(this.#runtime.clock.now() + patienceMs, () => {
      const { telemetry } = this.#runtime;
      const { id: sessionId } = this.#session;
      const { commandId } = this.command;
      telemetry.observe({ level: 'warn', message: 'engine did not let go of an aborted turn', sessionId, commandId });
      this.#guard(() => this.#finish({ status: 'failed', kind: 'timeout', message: 'The engine did not let go' }));
    });
  }

  /** The server ends: nobody waits for the engine any more. */
  leave(): void {
    this.#patience?.cancel();
  }

  /** Its session is being rebuilt: nothing more is heard, and that the engine has let go is told to who comes next. */
  detach(patienceMs: number): void {
    this.close();
    this.#guard = (act) => act();
    this.#onFinished = undefined;
    if (this.holds && !this.#controller.signal.aborted) this.abort(patienceMs);
  }

  /** The rebuilt session waits for the engine to let go. */
  handOver(onFinished: (result: TurnResult) => void): void {
    if (this.#result === undefined) this.#onFinished = onFinished;
    else onFinished(this.#result);
  }

  #result: TurnResult | undefined;

  #finish(result: TurnResult): void {
    if (this.#result !== undefined) return;
    this.#result = result;
    this.#patience?.cancel();
    this.#onFinished?.(result);
  }

  #deliver(): void {
    const handle = this.#handle;
    if (handle === undefined || this.#over) return;
    this.#undelivered = this.#undelivered.filter((nudge) => {
      if (!nudge.durable) return true;
      try {
        return !(nudge.mode === 'steer' ? handle.steer(nudge.message) : handle.followUp(nudge.message));
      } catch (error) {
        const { commandId } = this.command;
        this.#runtime.telemetry.observe({ level: 'error', message: 'engine threw', error: String(error), commandId });
        return true;
      }
    });
  }

  #hear(said: SessionEvent): void {
    if (this.#over || !this.holds) return;
    const event = plain(said);
    if (event === undefined) {
      // A journal takes only JSON: what is none is a bug of the engine, and never reaches the batch of others.
      this.#finish(bug('The engine emitted an event that is not JSON'));
      this.#controller.abort();
      return;
    }
    const partial = this.#follow(event);
    if (isDurable(event)) this.#session.emit(this.command.commandId, event);
    else this.#session.show(event, partial);
  }

  /** Follows the message that is being streamed; what it is at a `message_update`, for those who want it whole. */
  #follow(event: SessionEvent) {
    switch (event.type) {
      case 'message_start': {
        const message = event['message'];
        if (message === null || typeof message !== 'object' || Array.isArray(message)) return undefined;
        if (message['role'] === 'assistant') {
          this.#partial = new PartialMessage(message, this.#runtime.limits.partialTextBytesMax);
        } else {
          this.#begun = message;
        }
        return undefined;
      }
      case 'message_update': {
        const partial = this.#partial;
        if (partial === undefined) return undefined;
        partial.update(event);
        return { chars: partial.chars, message: () => partial.snapshot() };
      }
      case 'message_end':
        this.#partial = undefined;
        this.#begun = undefined;
        return undefined;
      default:
        return undefined;
    }
  }
}

/** The event as JSON says it: what is folded after a restart is what was seen live. */
function plain(event: SessionEvent): SessionEvent | undefined {
  try {
    const copy = JSON.parse(JSON.stringify(event)) as SessionEvent | null;
    return typeof copy?.type === 'string' ? copy : undefined;
  } catch {
    return undefined;
  }
}

/** The result as JSON says it; what is none, or no result, is a bug of the engine. */
function checked(result: TurnResult): TurnResult {
  try {
    const copy = JSON.parse(JSON.stringify(result)) as TurnResult | null;
    if (copy?.status === 'completed' || (copy?.status === 'failed' && typeof copy.message === 'string')) return copy;
  } catch {
    // Falls through to the same end.
  }
  return bug('The engine returned what is no result of a turn');
}

function bug(error: unknown): TurnResult {
  const message = error instanceof Error ? error.message : String(error);
  return { status: 'failed', kind: 'provider', message };
}
