import { describe, expect, it } from 'vitest';
import type { Json, SessionView } from '../../actors/message.ts';
import { getLastAssistantText, getMessages, getState, listSessions } from '../../src/commands/session-read.ts';
import { createSession, deleteSession, setSessionName } from '../../src/commands/session.ts';
import { createdAt, decide, serverView, sessionView } from './views.ts';

describe('create_session', () => {
  it('opens a session with all that the client said about it', () => {
    const wanted = { engine: 'scripted', input: { turns: [] }, name: 'n', cwd: '/w', labels: { a: 'b' } };
    expect(decide(createSession, { sessionId: 'mine', ...wanted })).toMatchObject({
      do: 'open',
      spec: wanted,
    });
  });

  it('leaves out what was not said', () => {
    const decision = decide(createSession);
    expect(decision).toMatchObject({ do: 'open' });
    expect(decision.do === 'open' && decision.spec).toEqual({ engine: undefined });
  });

  it('takes the engine by its other name, and the first name wins', () => {
    expect(decide(createSession, { kind: 'pi' })).toMatchObject({ spec: { engine: 'pi' } });
    expect(decide(createSession, { kind: 'pi', engine: 'echo' })).toMatchObject({ spec: { engine: 'echo' } });
  });

  it('answers with the new session', () => {
    const decision = decide(createSession, { sessionId: 's1' });
    expect(decision.do === 'open' && decision.respond(sessionView({ name: 'n' }))).toEqual({
      sessionId: 's1',
      sessionInfo: {
        sessionId: 's1',
        sessionName: 'n',
        thinkingLevel: 'off',
        isStreaming: false,
        messageCount: 0,
        createdAt: '2026-01-02T03:04:05.006Z',
      },
    });
  });

  it('hands on how long the session is to live', () => {
    expect(decide(createSession, { ttl: 60_000 })).toMatchObject({ do: 'open', spec: { ttlMs: 60_000 } });
  });
});

describe('delete_session', () => {
  it('closes the session', () => {
    expect(decide(deleteSession)).toEqual({ do: 'close', reason: 'deleted', data: { deleted: true } });
  });
});

describe('set_session_name', () => {
  it('is an event that everybody attached sees', () => {
    expect(decide(setSessionName, { name: 'new' })).toEqual({
      do: 'settle',
      outcome: { success: true },
      events: [{ type: 'session_changed', fields: { name: 'new' } }],
    });
  });
});

describe('get_state', () => {
  it('shows what the base shows, and ours beside it', () => {
    expect(decide(getState)).toEqual({
      do: 'settle',
      outcome: {
        success: true,
        data: {
          sessionId: 's1',
          thinkingLevel: 'off',
          isStreaming: false,
          messageCount: 0,
          createdAt: '2026-01-02T03:04:05.006Z',
          engine: 'echo',
          capabilities: ['of-echo'],
          sessionVersion: 3,
          lastActivityAt: '2026-01-02T03:04:06.006Z',
          lease: { deadline: '2026-01-03T03:04:05.006Z', extensions: 0, extensionsMax: 4, thresholdMs: 3_600_000 },
          queued: { steers: 0, followUps: 0 },
        },
      },
    });
  });

  it('shows name, model, place, labels, queues and a running turn when there are any', () => {
    const session = sessionView({
      name: 'n',
      model: { id: 'm' },
      cwd: '/w',
      labels: { a: 'b' },
      messages: [{ role: 'user' }, { role: 'assistant' }],
      steers: ['s'],
      followUps: ['f', 'g'],
      turn: {
        commandId: 'c',
        acceptedOffset: 1,
        attempt: 1,
        agentOpen: true,
        turnOpen: true,
        tools: [],
        firstMessage: 0,
      },
    });
    expect(decide(getState, {}, session)).toMatchObject({
      outcome: {
        data: {
          sessionName: 'n',
          model: { id: 'm' },
          cwd: '/w',
          labels: { a: 'b' },
          isStreaming: true,
          messageCount: 2,
          queued: { steers: 1, followUps: 2 },
        },
      },
    });
  });
});

describe('get_messages', () => {
  it('shows the conversation, as a copy that later messages do not reach', () => {
    const messages: Json[] = [{ role: 'user', content: 'a' }];
    const decision = decide(getMessages, {}, sessionView({ messages }));
    messages.push({ role: 'assistant' });
    expect(decision).toMatchObject({ outcome: { data: { messages: [{ role: 'user', content: 'a' }] } } });
  });
});

describe('get_last_assistant_text', () => {
  const text = (...texts: string[]): Json => texts.map((part) => ({ type: 'text', text: part }));
  const of = (...messages: Json[]): unknown => {
    const decision = decide(getLastAssistantText, {}, sessionView({ messages }));
    return decision.do === 'settle' && decision.outcome.success ? decision.outcome.data : decision;
  };

  it('is null without an assistant', () => {
    expect(of()).toEqual({ text: null });
    expect(of({ role: 'user', content: text('hi') })).toEqual({ text: null });
  });

  it('is the newest one, all its parts together', () => {
    const old = { role: 'assistant', content: text('old') };
    const call = { type: 'toolCall', id: 't', name: 'n', arguments: {} };
    const parts = [...(text('a ') as Json[]), call, { type: 'thinking', thinking: 'x' }, ...(text('b') as Json[])];
    expect(of(old, { role: 'assistant', content: parts }, { role: 'user', content: text('u') })).toEqual({
      text: 'a b',
    });
  });

  it('passes over messages without any', () => {
    const silent: Json[] = [
      { role: 'assistant', content: [], stopReason: 'aborted' },
      { role: 'assistant', content: text('  ') },
      { role: 'assistant' },
      null,
      'odd',
    ];
    expect(of({ role: 'assistant', content: 'plain' }, ...silent)).toEqual({ text: 'plain' });
  });
});

describe('list_sessions', () => {
  const at = (id: string, offset: number): SessionView => sessionView({ id, createdAt: createdAt + offset });
  const all = [at('a', 0), at('b', 1), at('c', 1), at('d', 1), at('e', 2)];

  function page(sessions: readonly SessionView[], fields: { cursor?: string; limit?: number }) {
    const decision = decide(listSessions, fields, undefined, serverView({ sessions }));
    if (decision.do !== 'settle' || !decision.outcome.success) throw new Error('The list was refused.');
    const data = decision.outcome.data as { sessions: { sessionId: string }[]; total: number; nextCursor?: string };
    const ids = data.sessions.map(({ sessionId }) => sessionId).join('');
    return { ids, total: data.total, ...(data.nextCursor === undefined ? {} : { cursor: data.nextCursor }) };
  }

  it('is all of them in order of creation when they fit', () => {
    expect(page(all, {})).toEqual({ ids: 'abcde', total: 5 });
    expect(page(all, { limit: 5 })).toEqual({ ids: 'abcde', total: 5 });
    expect(page([], {})).toEqual({ ids: '', total: 0 });
  });

  it('is cut at a thousand, and says where to go on', () => {
    const many = Array.from({ length: 1001 }, (_, n) => at(`s${n}`, n));
    const first = page(many, {});
    expect(first.ids.endsWith('s999')).toBe(true);
    expect(page(many, { cursor: first.cursor! })).toEqual({ ids: 's1000', total: 1001 });
  });

  it.each([1, 2, 3, 4])('shows each session once over pages of %i', (limit) => {
    let seen = '';
    let cursor: string | undefined;
    do {
      const shown = page(all, { limit, ...(cursor === undefined ? {} : { cursor }) });
      seen += shown.ids;
      cursor = shown.cursor;
    } while (cursor !== undefined);
    expect(seen).toBe('abcde');
  });

  it('leaves none out when the last one shown was deleted meanwhile', () => {
    const { cursor } = page(all, { limit: 3 });
    const rest = all.filter(({ id }) => id !== 'c');
    expect(page(rest, { cursor: cursor! }).ids).toBe('bde');
  });

  it('goes on behind a session of the same id only if it is the same session', () => {
    const { cursor } = page(all, { limit: 2 });
    const again = [...all.filter(({ id }) => id !== 'b'), at('b', 9)];
    expect(page(again, { cursor: cursor! }).ids).toBe('cdeb');
  });
});
