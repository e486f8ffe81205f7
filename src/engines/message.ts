/**
 * The messages of a conversation as pi's clients know them: user, assistant, tool result. Plain JSON, times from the
 * request's clock. An engine that has its own messages (pi) passes them on and needs only what reads them here.
 */
import type { Json } from '../../actors/message.ts';

export type TextContent = { type: 'text'; text: string };
export type ToolCallContent = { type: 'toolCall'; id: string; name: string; arguments: Json };

export type UserMessage = { role: 'user'; content: Json[]; timestamp: number };

export type AssistantMessage = {
  role: 'assistant';
  content: (TextContent | ToolCallContent)[];
  api: string;
  provider: string;
  model: string;
  usage: Usage;
  stopReason: 'stop' | 'toolUse' | 'error' | 'aborted';
  errorMessage?: string;
  timestamp: number;
};

export type ToolResultMessage = {
  role: 'toolResult';
  toolCallId: string;
  toolName: string;
  content: Json[];
  isError: boolean;
  timestamp: number;
};

export type Message = UserMessage | AssistantMessage | ToolResultMessage;

export type Usage = {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  totalTokens: number;
  cost: { input: number; output: number; cacheRead: number; cacheWrite: number; total: number };
};

/** `input` is what a prompt, a steer or a follow-up carries: `{message, images?}`. */
export function userMessage(input: Json, timestamp: number): UserMessage {
  const images = isObject(input) && Array.isArray(input['images']) ? input['images'] : [];
  return { role: 'user', content: [{ type: 'text', text: textOf(input) }, ...images], timestamp };
}

/** The text of a prompt, a steer or a follow-up. */
export function textOf(input: Json): string {
  if (typeof input === 'string') return input;
  return isObject(input) && typeof input['message'] === 'string' ? input['message'] : '';
}

/** Demo engines are their own provider, so that a client that shows provider and model says what really answered. */
export function assistantMessage(
  engine: string,
  content: AssistantMessage['content'],
  usage: Usage,
  timestamp: number,
): AssistantMessage {
  const stopReason = content.some((part) => part.type === 'toolCall') ? 'toolUse' : 'stop';
  return { role: 'assistant', content, api: engine, provider: engine, model: engine, usage, stopReason, timestamp };
}

export function toolResultMessage(call: ToolCallContent, content: Json[], timestamp: number): ToolResultMessage {
  return { role: 'toolResult', toolCallId: call.id, toolName: call.name, content, isError: false, timestamp };
}

export function tokens(input: number, output: number): Usage {
  const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 };
  return { input, output, cacheRead: 0, cacheWrite: 0, totalTokens: input + output, cost };
}

export function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
