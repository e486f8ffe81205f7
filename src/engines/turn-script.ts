/**
 * Plays a turn that is known beforehand: the one mechanism behind the engines `echo` and `scripted`.
 *
 * - The prompt is answered by the script's steps, or, without a script, by its own text.
 * - A steer's message is shown before the script's next step. Once no step is left it is answered by its own text, as are
 *   follow-ups, which come after everything else, one at a time.
 * - Without delays the whole turn is emitted in one tick, and never from inside `start`.
 * - An abort takes effect at once: nothing is emitted any more and no timer stays behind.
 *
 * State: volatile, one player per turn.
 */
import type { Json } from '../../actors/message.ts';
import type { TurnHandle, TurnRequest, TurnResult } from '../../actors/ports.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import {
  assistantMessage,
  isObject,
  textOf,
  tokens,
  toolResultMessage,
  userMessage,
  type ToolCallContent,
} from './message.ts';
import { pause, untilAborted } from './pause.ts';
import type { TurnFailure } from './refused-turn.ts';
import { Stage } from './stage.ts';

export type Step =
  | { readonly do: 'say'; readonly text: string; readonly wordDelayMs: number; readonly usage: TokenCount }
  | { readonly do: 'wait'; readonly delayMs: number }
  | {
      readonly do: 'tool';
      readonly name: string;
      readonly args: Json;
      readonly result: Json;
      readonly delayMs: number;
      readonly usage: TokenCount;
    }
  | { readonly do: 'fail'; readonly failure: TurnFailure }
  | { readonly do: 'hang' }
  | { readonly do: 'throw'; readonly message: string }
  | { readonly do: 'crash'; readonly crash: () => void };

export interface TokenCount {
  readonly input: number;
  readonly output: number;
}

export interface TurnScript {
  readonly engine: string;
  /** Absent: the prompt is answered by its own text. */
  readonly steps?: readonly Step[];
  /** Wait before each word of an answer that repeats a message. */
  readonly wordDelayMs: number;
}

export const NO_TOKENS: TokenCount = { input: 0, output: 0 };

export function playTurn(script: TurnScript, request: TurnRequest, emit: (event: SessionEvent) => void): TurnHandle {
  const player = new TurnPlayer(script, request, emit);
  return {
    steer: (message) => player.take(player.steers, message),
    followUp: (message) => player.take(player.followUps, message),
    finished: player.play(),
  };
}

class TurnPlayer {
  readonly steers: Json[];
  readonly followUps: Json[];
  readonly #script: TurnScript;
  readonly #request: TurnRequest;
  readonly #stage: Stage;
  #toolCalls = 0;
  /** False once nobody will look at the queues again: what comes later belongs to the next turn. */
  #listening = true;

  constructor(script: TurnScript, request: TurnRequest, emit: (event: SessionEvent) => void) {
    this.#script = script;
    this.#request = request;
    this.#stage = new Stage(emit);
    this.steers = [...request.steers];
    this.followUps = [...request.followUps];
  }

  take(queue: Json[], message: Json): boolean {
    const taken = this.#listening && !this.#request.signal.aborted;
    if (taken) queue.push(message);
    return taken;
  }

  async play(): Promise<TurnResult> {
    await Promise.resolve(); // `start` returns before the first event: its caller has the handle by then.
    try {
      this.#request.signal.throwIfAborted();
      this.#stage.open();
      const failure = await this.#converse();
      this.#stage.close();
      return failure ?? { status: 'completed' };
    } catch (error) {
      if (this.#request.signal.aborted) return { status: 'completed' };
      throw error;
    } finally {
      this.#listening = false;
    }
  }

  async #converse(): Promise<TurnFailure | undefined> {
    this.#show(this.#request.input);
    if (this.#script.steps === undefined) await this.#repeat(this.#request.input);
    for (const step of this.#script.steps ?? []) {
      for (const steer of this.steers.splice(0)) this.#show(steer);
      const failure = await this.#perform(step);
      if (failure !== undefined) return failure;
    }
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#show(next);
      await this.#repeat(next);
    }
    return undefined;
  }

  #next(): Json | undefined {
    const next = this.steers.shift() ?? this.followUps.shift();
    // In one step with the look that found nothing: a message cannot slip in between and be lost.
    if (next === undefined) this.#listening = false;
    return next;
  }

  #show(input: Json): void {
    this.#stage.user(userMessage(input, this.#request.clock.now()));
  }

  async #perform(step: Step): Promise<TurnFailure | undefined> {
    switch (step.do) {
      case 'say':
        await this.#speak(step.text, step.wordDelayMs, step.usage);
        return undefined;
      case 'wait':
        await this.#pause(step.delayMs);
        return undefined;
      case 'tool':
        await this.#useTool(step);
        return undefined;
      case 'fail':
        await this.#showFailure(step.failure.message);
        return step.failure;
      case 'hang':
        return untilAborted(this.#request.signal);
      case 'throw':
        throw new Error(step.message);
      case 'crash':
        step.crash();
        return untilAborted(this.#request.signal);
      default:
        return step satisfies never;
    }
  }

  #repeat(message: Json): Promise<void> {
    return this.#speak(textOf(message), this.#script.wordDelayMs, NO_TOKENS);
  }

  #speak(text: string, wordDelayMs: number, usage: TokenCount): Promise<void> {
    const message = this.#message([{ type: 'text', text }], usage);
    return this.#stage.say(message, wordDelayMs === 0 ? undefined : () => this.#pause(wordDelayMs));
  }

  async #useTool(step: Extract<Step, { do: 'tool' }>): Promise<void> {
    // From the effect id, so that a second run of the same attempt names its calls alike and can be recognized outside.
    this.#toolCalls += 1;
    const id = `${this.#request.effectId}/${this.#toolCalls}`;
    const call: ToolCallContent = { type: 'toolCall', id, name: step.name, arguments: step.args };
    await this.#stage.say(this.#message([call], step.usage));
    this.#stage.toolStarted(call);
    await this.#pause(step.delayMs);
    this.#stage.toolEnded(call, toolResultMessage(call, resultContent(step.result), this.#request.clock.now()));
  }

  #showFailure(text: string): Promise<void> {
    return this.#stage.say({ ...this.#message([], NO_TOKENS), stopReason: 'error', errorMessage: text });
  }

  #message(content: Parameters<typeof assistantMessage>[1], usage: TokenCount): ReturnType<typeof assistantMessage> {
    const { clock } = this.#request;
    return assistantMessage(this.#script.engine, content, tokens(usage.input, usage.output), clock.now());
  }

  async #pause(delayMs: number): Promise<void> {
    if (delayMs > 0) await pause(this.#request, delayMs);
  }
}

/** A tool's result as content parts: as given when it has the shape already, else as text. */
function resultContent(result: Json): Json[] {
  if (isObject(result) && Array.isArray(result['content'])) return result['content'];
  return [{ type: 'text', text: typeof result === 'string' ? result : JSON.stringify(result) }];
}
