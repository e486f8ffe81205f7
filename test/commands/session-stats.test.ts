import { describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import { getSessionStats } from '../../src/commands/session-stats.ts';
import { createWorld } from '../support/world.ts';
import { decide, sessionView } from './views.ts';

function statsOf(messages: readonly Json[]): unknown {
  const decision = decide(getSessionStats, { sessionId: 's1' }, sessionView({ messages }));
  return decision.do === 'settle' && decision.outcome.success ? decision.outcome.data : decision;
}

const NOTHING = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 };

describe('get_session_stats', () => {
  it('counts messages by role, tool calls, tokens and cost', () => {
    const usage = { input: 10, output: 5, cacheRead: 2, cacheWrite: 1, totalTokens: 99, cost: { total: 0.25 } };
    const call = { type: 'toolCall', id: '1', name: 'ls', arguments: {} };
    const messages: Json[] = [
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'well' }, call, call], usage },
      { role: 'toolResult', content: [], usage },
      { role: 'toolResult', content: [] },
      { role: 'assistant', content: 'done', usage },
    ];
    expect(statsOf(messages)).toEqual({
      sessionId: 's1',
      userMessages: 1,
      assistantMessages: 2,
      toolCalls: 2,
      toolResults: 2,
      totalMessages: 5,
      tokens: { input: 20, output: 10, cacheRead: 4, cacheWrite: 2, total: 36 },
      cost: 0.5,
      turns: 1,
    });
  });

  it.each<[string, Json]>([
    ['no object', 'text'],
    ['without usage', { role: 'assistant', content: [] }],
    ['with usage that is none', { role: 'assistant', content: [], usage: { input: 'x', output: null, cost: 3 } }],
    ['of another kind', { role: 'custom', content: [{ type: 'toolCall' }], usage: { input: 5 } }],
  ])('counts nothing of a message that is %s', (_what, message) => {
    expect(statsOf([message])).toMatchObject({ toolCalls: 0, totalMessages: 1, tokens: NOTHING, cost: 0 });
  });

  it('says of an engine that reports usage what it reported, after a turn', async () => {
    const world = createWorld();
    await world.start();
    const client = world.connect();
    const input = { turns: [[{ usage: { input: 7, output: 3 } }, { text: 'one' }]] };
    client.send({ type: 'create_session', id: 'c', sessionId: 's', engine: 'scripted', input });
    client.send({ type: 'prompt', id: 'p', sessionId: 's', message: 'go' });
    await world.advance(1_000);
    client.send({ type: 'get_session_stats', id: 'x', sessionId: 's' });
    await world.settle();
    expect(client.response('x')).toMatchObject({
      data: { sessionId: 's', userMessages: 1, assistantMessages: 1, tokens: { input: 7, output: 3, total: 10 } },
    });
  });
});
