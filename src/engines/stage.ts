/**
 * What clients see of a run, in the order and shape that the Engine port promises: one `turn` per assistant message with
 * its tools, every `_start` with its `_end`, all messages of the run again in `agent_end`.
 *
 * It decides nothing: who speaks next is the player's business. State: volatile, one per run.
 */
import type { Json } from '../../actors/message.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import {
  tokens,
  type AssistantMessage,
  type Message,
  type ToolCallContent,
  type ToolResultMessage,
  type UserMessage,
} from './message.ts';

/** A longer text streams several words at a time: thousands of frames would say no more and cost every reader. */
export const DELTAS_MAX = 1_000;

export class Stage {
  readonly #emit: (event: SessionEvent) => void;
  readonly #messages: Message[] = [];
  /** The open turn: what it said and which tools answered. */
  #turn: { answer: AssistantMessage | undefined; toolResults: ToolResultMessage[] } | undefined;

  constructor(emit: (event: SessionEvent) => void) {
    this.#emit = emit;
  }

  open(): void {
    this.#emit({ type: 'agent_start' });
  }

  user(message: UserMessage): void {
    this.#turnBefore();
    this.#emit({ type: 'message_start', message });
    this.#ended(message);
  }

  /** Shows an assistant message; text streams word by word, and `beforeWord` may take its time. */
  async say(message: AssistantMessage, beforeWord?: () => Promise<void>): Promise<void> {
    this.#turnBefore();
    const text = message.content.find((part) => part.type === 'text')?.text;
    const unspoken = message.content.filter((part) => part.type !== 'text');
    this.#emit({ type: 'message_start', message: { ...message, content: unspoken, usage: tokens(0, 0) } });
    if (text !== undefined) {
      this.#update({ type: 'text_start', contentIndex: 0 });
      for (const delta of wordsOf(text)) {
        if (beforeWord !== undefined) await beforeWord();
        this.#update({ type: 'text_delta', contentIndex: 0, delta });
      }
      this.#update({ type: 'text_end', contentIndex: 0 });
    }
    if (this.#turn !== undefined) this.#turn.answer = message;
    this.#ended(message);
  }

  toolStarted(call: ToolCallContent): void {
    this.#emit({ type: 'tool_execution_start', toolCallId: call.id, toolName: call.name, args: call.arguments });
  }

  toolEnded(call: ToolCallContent, message: ToolResultMessage): void {
    const tool = { toolCallId: call.id, toolName: call.name };
    const result = { content: message.content };
    this.#emit({ type: 'tool_execution_update', ...tool, args: call.arguments, partialResult: result });
    this.#emit({ type: 'tool_execution_end', ...tool, result, isError: message.isError });
    this.#emit({ type: 'message_start', message });
    this.#ended(message);
    this.#turn?.toolResults.push(message);
  }

  close(): void {
    this.#endTurn();
    this.#emit({ type: 'agent_end', messages: this.#messages });
  }

  /** A turn has one answer: whoever speaks after it opens the next one. */
  #turnBefore(): void {
    if (this.#turn?.answer !== undefined) this.#endTurn();
    if (this.#turn !== undefined) return;
    this.#turn = { answer: undefined, toolResults: [] };
    this.#emit({ type: 'turn_start' });
  }

  #endTurn(): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    const message: Json = turn.answer ?? this.#messages.at(-1) ?? null;
    this.#emit({ type: 'turn_end', message, toolResults: turn.toolResults });
  }

  #ended(message: Message): void {
    this.#messages.push(message);
    this.#emit({ type: 'message_end', message });
  }

  #update(assistantMessageEvent: { type: string; contentIndex: number; delta?: string }): void {
    this.#emit({ type: 'message_update', assistantMessageEvent });
  }
}

/** The words of a text with the space that leads them, at most `DELTAS_MAX` pieces; joined they are the text again. */
function wordsOf(text: string): string[] {
  const words = text.match(/\s*\S+|\s+$/g) ?? [];
  if (words.length <= DELTAS_MAX) return words;
  const perDelta = Math.ceil(words.length / DELTAS_MAX);
  const pieces: string[] = [];
  for (let at = 0; at < words.length; at += perDelta) pieces.push(words.slice(at, at + perDelta).join(''));
  return pieces;
}
