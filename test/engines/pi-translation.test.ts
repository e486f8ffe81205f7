import { describe, expect, it } from 'vitest';
import { modelFailure, refusal } from '../../src/engines/pi/failure.ts';
import { chooseModel } from '../../src/engines/pi/model.ts';
import type { PiEvent, PiModel } from '../../src/engines/pi/module.ts';
import { RunEvents } from '../../src/engines/pi/run-events.ts';
import { grammarOffence } from '../../src/testing/event-grammar.ts';
import type { SessionEvent } from '../../actors/session/event.ts';

describe('a failure of pi', () => {
  it.each([
    '500: {"message":"boom"}',
    '503: overloaded',
    '429: slow down',
    '408: too late',
    'Connection error.',
    'terminated',
    'Request timed out.',
    'Stream ended without finish_reason',
    '',
  ])('%j is the provider’s', (text) => {
    expect(modelFailure(text)).toMatchObject({ status: 'failed', kind: 'provider' });
  });

  it.each(['401: bad key', '404: no such model', '400: bad request', '403: not yours', 'prompt is too long: 3 > 2'])(
    '%j is the user’s',
    (text) => {
      expect(modelFailure(text)).toMatchObject({ status: 'failed', kind: 'user', message: text });
    },
  );

  it('always has a text, and never an endless one', () => {
    expect(modelFailure('').message).not.toBe('');
    expect(modelFailure(`500: ${'x'.repeat(1_000_000)}`).message.length).toBeLessThan(2_100);
  });

  it('to begin says in one line what to do', () => {
    const result = refusal(new Error('No API key found for openai.\n\nUse /login'));
    expect(result).toMatchObject({ kind: 'user', errorCode: 'ENGINE_UNAVAILABLE' });
    expect(result.message).toMatch(/^No API key found for openai\. \(log in with pi, .*\)$/);
  });
});

describe('the model of a session', () => {
  const known: PiModel[] = [
    { provider: 'one', id: 'small' },
    { provider: 'one', id: 'large' },
    { provider: 'two', id: 'large' },
  ];
  const models = {
    getModels: () => known,
    getModel: (provider: string, id: string) => known.find((model) => model.provider === provider && model.id === id),
    getError: () => undefined,
  };

  it.each([
    [{ provider: 'two', model: 'small' }, 'pi knows no model two/small'],
    [{ model: 'tiny' }, 'pi knows no model tiny'],
    [{ model: 'large' }, 'The model large is offered by one, two: name the provider'],
  ])('%j has a problem', (input, problem) => {
    expect(chooseModel(models, input)).toEqual({ problem });
  });

  it('is the one that is named, or left to pi', () => {
    expect(chooseModel(models, { model: 'small' })).toEqual({ model: known[0] });
    expect(chooseModel(models, { provider: 'two', model: 'large' })).toEqual({ model: known[2] });
    expect(chooseModel(models, null)).toEqual({});
  });
});

describe('the events of a run', () => {
  const user = { role: 'user', content: [{ type: 'text', text: 'hi' }] };
  const answer = (fields: object = {}): PiEvent[] => {
    const message = { role: 'assistant', content: [], stopReason: 'stop', ...fields };
    return [
      { type: 'message_start', message },
      { type: 'message_end', message },
      { type: 'turn_end', message, toolResults: [] },
    ];
  };
  const failed = answer({ stopReason: 'error', errorMessage: '500' });

  function translate(...events: PiEvent[]): { shown: SessionEvent[]; types: string[]; failure: string | undefined } {
    const shown: SessionEvent[] = [];
    const run = new RunEvents((event) => shown.push(event));
    for (const event of events) run.take(event);
    run.close();
    return { shown, types: shown.map((event) => event.type), failure: run.failure };
  }

  it('are one run, however often pi begins again', () => {
    const start = { type: 'agent_start' };
    const end = { type: 'agent_end', messages: [] };
    const { types, shown, failure } = translate(
      start,
      { type: 'turn_start' },
      ...failed,
      end,
      { type: 'auto_retry_start', attempt: 1 },
      start,
      { type: 'turn_start' },
      ...answer(),
      end,
      { type: 'agent_settled' },
    );
    expect(types.filter((type) => type.startsWith('agent_'))).toEqual(['agent_start', 'agent_end']);
    expect(shown.at(-1)?.['messages']).toHaveLength(2);
    expect(types).toContain('auto_retry_start');
    expect(grammarOffence(shown)).toBeUndefined();
    expect(failure).toBeUndefined();
  });

  it('begin with agent_start even when pi compacts first', () => {
    expect(translate({ type: 'compaction_start' }, { type: 'agent_start' }).types).toEqual([
      'agent_start',
      'compaction_start',
      'agent_end',
    ]);
  });

  it('tell the newest answer’s failure', () => {
    expect(translate({ type: 'agent_start' }, { type: 'turn_start' }, ...failed).failure).toBe('500');
  });

  it('never show pi’s instructions', () => {
    const message = { role: 'system', content: 'cwd /secret' };
    const { shown } = translate(
      { type: 'agent_start' },
      { type: 'turn_start' },
      { type: 'message_start', message },
      { type: 'message_end', message },
      { type: 'message_start', message: user },
      { type: 'message_end', message: user },
    );
    expect(JSON.stringify(shown)).not.toContain('/secret');
    expect(shown.at(-1)).toEqual({ type: 'agent_end', messages: [user] });
  });

  it('carry a delta without the partial message', () => {
    const partial = { role: 'assistant', content: [{ type: 'text', text: 'a' }] };
    const change = { type: 'text_delta', contentIndex: 0, delta: 'a', partial };
    const { shown } = translate({ type: 'message_update', message: partial, assistantMessageEvent: change });
    const assistantMessageEvent = { type: 'text_delta', contentIndex: 0, delta: 'a' };
    expect(shown[1]).toEqual({ type: 'message_update', assistantMessageEvent });
  });

  it('are copies: what pi changes afterwards does not show', () => {
    const message = { role: 'assistant', content: [{ type: 'text', text: 'before' }], usage: undefined };
    const run: SessionEvent[] = [];
    new RunEvents((event) => run.push(event)).take({ type: 'message_end', message });
    message.content[0]!.text = 'after';
    expect(run.at(-1)?.['message']).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'before' }] });
  });

  it.each(['queue_update', 'entry_appended', 'agent_settled', 'session_info_changed', 'something_new'])(
    'leave out %s',
    (type) => {
      expect(translate({ type })).toMatchObject({ shown: [] });
    },
  );
});
