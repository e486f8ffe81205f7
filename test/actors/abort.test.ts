/**
 * abort: ends the turn at once, whatever the engine does about it.
 */
import { describe, expect, it } from 'vitest';
import { EventGrammar } from '../../src/testing/event-grammar.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import { answered, createScene } from '../support/scene.ts';
import type { Client } from '../support/world.ts';

const abort = (id: string) => ({ type: 'abort', id, sessionId: 's' });

/** Everything that the client saw opened is closed, in the order that the port promises. */
function expectClosed(client: Client): void {
  const grammar = new EventGrammar();
  for (const frame of client.of('event')) expect(grammar.accept(frame['event'] as SessionEvent)).toBeUndefined();
  expect(grammar.complete).toBe(true);
}

describe('aborting a running turn', () => {
  it('answers the prompt with COMMAND_ABORTED before the engine has let go', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    await send(abort('a'));
    expect(answered(client)).toEqual(['p', 'a']);
    expect(client.response('p')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect(client.response('p')?.['sessionVersion']).toBeUndefined();
    expect(client.response('a')).toMatchObject({ success: true, sessionVersion: 1 });
    expect(engine.turn.aborted).toBe(true);
  });

  it('never reaches the next turn, also when the engine let go before the abort was durable', async () => {
    const { world, client, send, prompt, engine } = await createScene();
    await prompt('p');
    await prompt('q');
    world.journal.hold();
    await send(abort('a'));
    engine.turn.finish();
    await world.settle();
    world.journal.pass();
    await world.settle();
    expect(engine.turns).toHaveLength(2);
    expect(engine.turn.aborted).toBe(false);
    engine.turn.finish();
    await world.settle();
    expect(client.response('q')).toMatchObject({ success: true });
  });

  it('closes everything that clients saw opened', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    const { turn } = engine;
    turn.speak('let me');
    turn.endMessage('let me');
    turn.emit({ type: 'tool_execution_start', toolCallId: 't1', toolName: 'read', args: {} });
    turn.emit({ type: 'tool_execution_start', toolCallId: 't2', toolName: 'write', args: {} });
    turn.emit({ type: 'tool_execution_end', toolCallId: 't1', toolName: 'read', result: {}, isError: false });
    turn.startMessage('now', ' I');
    await send(abort('a'));
    expectClosed(client);
    const closing = client.of('event').slice(-4);
    expect(closing.map((frame) => frame['event'].type as unknown)).toEqual([
      'message_end',
      'tool_execution_end',
      'turn_end',
      'agent_end',
    ]);
    expect(closing[0]?.['event'].message).toMatchObject({ stopReason: 'aborted', content: [{ text: 'now I' }] });
    expect(closing[1]?.['event']).toMatchObject({ toolCallId: 't2', toolName: 'write', isError: true });
  });

  it('closes a message that had not said anything yet', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    engine.turn.speak();
    await send(abort('a'));
    expectClosed(client);
  });

  it('closes a message that is not the assistant’s', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    engine.turn.emit({ type: 'agent_start' });
    engine.turn.emit({ type: 'turn_start' });
    engine.turn.emit({ type: 'message_start', message: { role: 'user', content: [{ type: 'text', text: 'hi' }] } });
    await send(abort('a'), { type: 'get_messages', id: 'm', sessionId: 's' });
    expectClosed(client);
    expect(client.response('m')?.['data'].messages).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    ]);
  });

  it('leaves the user’s message and what the assistant had said of its answer', async () => {
    const { client, send, prompt, engine } = await createScene();
    await prompt('p');
    const { turn } = engine;
    turn.emit({ type: 'agent_start' });
    turn.emit({ type: 'turn_start' });
    turn.emit({ type: 'message_start', message: { role: 'user', content: 'question' } });
    turn.emit({ type: 'message_end', message: { role: 'user', content: 'question' } });
    turn.startMessage('half an');
    await send(abort('a'), { type: 'get_messages', id: 'm', sessionId: 's' });
    expect(client.response('m')?.['data'].messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: [{ type: 'text', text: 'half an' }], stopReason: 'aborted' },
    ]);
  });

  it('shows no event of a turn that never spoke', async () => {
    const { client, send, prompt } = await createScene();
    await prompt('p');
    await send(abort('a'));
    expect(client.events()).toEqual([]);
  });

  it('ignores what the engine says and returns afterwards', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    engine.turn.speak('a');
    await send(abort('a'));
    const seen = client.frames.length;
    engine.turn.delta('b');
    engine.turn.endMessage('ab');
    engine.turn.endRun();
    engine.turn.finish({ status: 'failed', kind: 'provider', message: 'late' });
    await world.settle();
    expect(client.frames).toHaveLength(seen);
    await send({ type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('r')).toMatchObject({ sessionVersion: 1 });
  });

  it('drops the steers and follow-ups that the engine had not taken', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p');
    engine.turn.takes = false;
    await send(
      { type: 'steer', id: 's1', sessionId: 's', message: 'x' },
      { type: 'follow_up', id: 'f1', sessionId: 's', message: 'y' },
      abort('a'),
    );
    engine.turn.finish();
    await world.settle();
    await prompt('p2');
    expect(engine.turn.request).toMatchObject({ steers: [], followUps: [] });
    expect(client.response('s1')).toMatchObject({ success: true });
  });

  it('holds the lane until the engine has let go, and then goes on with what waits', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' }, abort('a'));
    expect(answered(client)).toEqual(['p1', 'a']);
    engine.turn.finish({ status: 'completed', resume: 'leaf' });
    await world.settle();
    expect(answered(client)).toEqual(['p1', 'a', 'n']);
    await prompt('p2');
    expect(engine.turn.request.resume).toBe('leaf');
  });

  it('gives up on an engine that hangs after the time to drain, and says so', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await send({ type: 'prompt', id: 'p2', sessionId: 's', message: '2' }, abort('a'));
    await world.advance(29_999);
    expect(engine.turns).toHaveLength(1);
    await world.advance(1);
    expect(engine.turns).toHaveLength(2);
    expect(world.observations).toContainEqual(
      expect.objectContaining({ message: 'engine did not let go of an aborted turn', commandId: 'p1' }),
    );
    const late = engine.turns[0]!;
    late.finish({ status: 'completed', resume: 'late' });
    late.emit({ type: 'agent_start' });
    engine.turn.finish();
    await world.settle();
    expect(client.response('p2')).toMatchObject({ success: true, sessionVersion: 2 });
    expect(client.events()).toEqual([]);
  });

  it('keeps messages that come while the engine lets go for the next turn', async () => {
    const { send, prompt, engine, world } = await createScene();
    await prompt('p1');
    await send(abort('a'), { type: 'steer', id: 's1', sessionId: 's', message: 'next' });
    expect(engine.turn.steers).toEqual([]);
    engine.turn.finish();
    await world.settle();
    await prompt('p2');
    expect(engine.turn.request.steers).toEqual([{ message: 'next' }]);
  });
});

describe('aborting without a running turn', () => {
  it('changes nothing when there is nothing to end', async () => {
    const { client, send } = await createScene();
    await send(abort('a'), { type: 'get_state', id: 'r', sessionId: 's' });
    expect(client.response('a')).toMatchObject({ success: true, sessionVersion: 0 });
    expect(client.response('r')).toMatchObject({ sessionVersion: 0 });
  });

  it('drops the messages that wait for the next turn', async () => {
    const { client, send, prompt, engine } = await createScene();
    await send({ type: 'steer', id: 's1', sessionId: 's', message: 'x' }, abort('a'));
    expect(client.response('a')).toMatchObject({ sessionVersion: 2 });
    await prompt('p');
    expect(engine.turn.request.steers).toEqual([]);
  });

  it('ends the prompt that waits, and the engine is never called for it', async () => {
    const { client, send, prompt, engine, world } = await createScene();
    await send({ type: 'create_session', id: 'c', sessionId: 'b' });
    await prompt('elsewhere', 'b');
    await send(
      { type: 'steer', id: 's1', sessionId: 's', message: 'x' },
      { type: 'prompt', id: 'p1', sessionId: 's', message: '1', dependsOn: ['elsewhere'] },
      { type: 'prompt', id: 'p2', sessionId: 's', message: '2' },
      abort('a'),
    );
    expect(client.response('p1')).toMatchObject({ errorCode: 'COMMAND_ABORTED' });
    expect(client.response('a')).toMatchObject({ success: true });
    expect(engine.turns).toHaveLength(2);
    // What was queued for the aborted one is not for the one behind it.
    expect(engine.turn.request).toMatchObject({ input: { message: '2' }, steers: [] });
    engine.turns[0]!.finish();
    await world.settle();
    expect(engine.turns).toHaveLength(2);
  });
});
