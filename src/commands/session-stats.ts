/**
 * What a conversation has cost so far: get_session_stats, summed over the messages that its clients saw.
 *
 * Usage is whatever an engine wrote into its messages: what is no number counts as nothing.
 */
import type { Json, SessionView } from '../../actors/message.ts';
import { envelopes } from '../protocol/envelope.ts';
import { answer, sessionCommand } from './command.ts';
import type { JsonObject } from './session-info.ts';

export const getSessionStats = sessionCommand({
  type: 'get_session_stats',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.session,
  decide: (_frame, session) => answer(sessionStats(session)),
});

const TOKENS = ['input', 'output', 'cacheRead', 'cacheWrite'] as const;

function sessionStats({ id, messages, turns }: SessionView): JsonObject {
  const counts = { userMessages: 0, assistantMessages: 0, toolCalls: 0, toolResults: 0 };
  const tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 };
  let cost = 0;
  for (const message of messages) {
    if (!isObject(message)) continue;
    const { role, content, usage } = message;
    if (role === 'user') counts.userMessages += 1;
    else if (role === 'toolResult') counts.toolResults += 1;
    else if (role === 'assistant') {
      counts.assistantMessages += 1;
      counts.toolCalls += toolCalls(content);
      for (const kind of TOKENS) tokens[kind] += amount(usage, kind);
      cost += isObject(usage) ? amount(usage['cost'], 'total') : 0;
    }
  }
  tokens.total = tokens.input + tokens.output + tokens.cacheRead + tokens.cacheWrite;
  return { sessionId: id, ...counts, totalMessages: messages.length, tokens, cost, turns };
}

function toolCalls(content: Json | undefined): number {
  if (!Array.isArray(content)) return 0;
  return content.filter((part) => isObject(part) && part['type'] === 'toolCall').length;
}

function amount(of: Json | undefined, name: string): number {
  const value = isObject(of) ? of[name] : undefined;
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
