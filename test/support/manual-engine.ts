/**
 * An engine whose every word and end a test decides: when it speaks, what it takes, whether it obeys, how it is loaded.
 * State: volatile.
 */
import type { Json } from '../../actors/message.ts';
import type { Engine, TurnHandle, TurnRequest, TurnResult } from '../../actors/ports.ts';
import type { SessionEvent } from '../../actors/session/event.ts';

export class ManualTurn implements TurnHandle {
  readonly request: TurnRequest;
  readonly emit: (event: SessionEvent) => void;
  readonly steers: Json[] = [];
  readonly followUps: Json[] = [];
  /** What `steer` and `followUp` answer. */
  takes = true;
  readonly finished: Promise<TurnResult>;
  #settle: { resolve: (result: TurnResult) => void; reject: (error: Error) => void } | undefined;

  constructor(request: TurnRequest, emit: (event: SessionEvent) => void) {
    this.request = request;
    this.emit = emit;
    this.finished = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  get aborted(): boolean {
    return this.request.signal.aborted;
  }

  steer(message: Json): boolean {
    if (this.takes) this.steers.push(message);
    return this.takes;
  }

  followUp(message: Json): boolean {
    if (this.takes) this.followUps.push(message);
    return this.takes;
  }

  finish(result: TurnResult = { status: 'completed' }): void {
    this.#settle?.resolve(result);
  }

  fail(error: Error): void {
    this.#settle?.reject(error);
  }

  /** The run and its one turn begin; the assistant starts to speak. */
  speak(...deltas: string[]): void {
    this.emit({ type: 'agent_start' });
    this.emit({ type: 'turn_start' });
    this.startMessage(...deltas);
  }

  startMessage(...deltas: string[]): void {
    this.emit({ type: 'message_start', message: { role: 'assistant', content: [] } });
    for (const delta of deltas) this.delta(delta);
  }

  delta(delta: string): void {
    this.emit({ type: 'message_update', assistantMessageEvent: { type: 'text_delta', contentIndex: 0, delta } });
  }

  endMessage(text: string): void {
    this.emit({ type: 'message_end', message: { role: 'assistant', content: [{ type: 'text', text }] } });
  }

  /** Everything that is open is closed, as an engine does at the end of a run. */
  endRun(): void {
    this.emit({ type: 'turn_end', message: null, toolResults: [] });
    this.emit({ type: 'agent_end', messages: [] });
  }
}

export class ManualEngine implements Engine {
  readonly kind: string;
  readonly capabilities = ['steer', 'follow_up'];
  readonly turns: ManualTurn[] = [];
  readonly forgotten: string[] = [];
  ready = true;
  closed = false;
  /** Called by `start` instead of making a turn, if set. */
  onStart: ((request: TurnRequest, emit: (event: SessionEvent) => void) => TurnHandle) | undefined;
  readonly #loads: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(kind = 'manual') {
    this.kind = kind;
  }

  /** How often `prepare` was called and not answered. */
  get loading(): number {
    return this.#loads.length;
  }

  /** The newest turn. */
  get turn(): ManualTurn {
    const turn = this.turns.at(-1);
    if (turn === undefined) throw new Error('The engine was not called.');
    return turn;
  }

  checkInput(input: Json): string | undefined {
    return input === 'wrong' ? 'wrong input' : undefined;
  }

  prepare(): Promise<void> {
    return new Promise((resolve, reject) => this.#loads.push({ resolve, reject }));
  }

  loaded(): void {
    this.ready = true;
    for (const { resolve } of this.#loads.splice(0)) resolve();
  }

  loadFailed(error: Error): void {
    for (const { reject } of this.#loads.splice(0)) reject(error);
  }

  start(request: TurnRequest, emit: (event: SessionEvent) => void): TurnHandle {
    if (this.onStart !== undefined) return this.onStart(request, emit);
    const turn = new ManualTurn(request, emit);
    this.turns.push(turn);
    return turn;
  }

  forget(sessionId: string): void {
    this.forgotten.push(sessionId);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
