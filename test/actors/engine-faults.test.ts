/**
 * Whatever an engine does wrong, its turn ends with a coded error, and nothing else suffers.
 */
import { describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import { sessionCommand } from '../../src/commands/command.ts';
import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { EventGrammar } from '../../src/testing/event-grammar.ts';
import { audit } from '../support/audit.ts';
import { ManualTurn } from '../support/manual-engine.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

/** The session goes on: one more prompt runs and ends well. */
async function expectGoesOn({ client, engine, prompt, world }: Scene): Promise<void> {
  engine.onStart = undefined;
  await prompt('next');
  engine.turn.speak('ok');
  engine.turn.endMessage('ok');
  engine.turn.endRun();
  engine.turn.finish();
  await world.settle();
  expect(client.response('next')).toMatchObject({ success: true });
  expect(world.system.live).toMatchObject({ timers: 0, held: 0 });
  expect(world.fatal).toEqual([]);
  expect(audit(await entriesOf(world.store)).problems).toEqual([]);
}

describe('an engine', () => {
  it('that throws when it is called fails the turn', async () => {
    const scene = await createScene();
    scene.engine.onStart = () => {
      throw new Error('a bug');
    };
    await scene.prompt('p');
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED', error: 'a bug' });
    await expectGoesOn(scene);
  });

  it('that returns no turn fails the turn', async () => {
    const scene = await createScene();
    scene.engine.onStart = () => undefined as never;
    await scene.prompt('p');
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    await expectGoesOn(scene);
  });

  it('whose turn rejects fails it, and closes what was open', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.speak('half');
    scene.engine.turn.fail(new Error('a bug'));
    await scene.world.settle();
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED', error: 'a bug' });
    const grammar = new EventGrammar();
    for (const frame of scene.client.of('event')) {
      expect(grammar.accept(frame['event'] as SessionEvent)).toBeUndefined();
    }
    expect(grammar.complete).toBe(true);
    await expectGoesOn(scene);
  });

  it('that ends in the middle of its own events has them closed', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.speak('half');
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(scene.client.events().slice(-3)).toEqual(['message_end', 'turn_end', 'agent_end']);
    expect(scene.response('p')).toMatchObject({ success: true });
    await expectGoesOn(scene);
  });

  it('that speaks after its end is not heard', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    const { turn } = scene.engine;
    turn.speak('a');
    turn.endMessage('a');
    turn.endRun();
    turn.finish();
    await scene.world.settle();
    const seen = scene.client.frames.length;
    turn.endMessage('more');
    turn.speak('and more');
    turn.finish({ status: 'failed', kind: 'provider', message: 'no' });
    await scene.world.settle();
    expect(scene.client.frames).toHaveLength(seen);
    await expectGoesOn(scene);
  });

  it('that settles and rejects has ended once', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.finish();
    scene.engine.turn.fail(new Error('late'));
    await scene.world.settle();
    expect(scene.client.responses()).toHaveLength(1);
    await expectGoesOn(scene);
  });

  it('that speaks from inside its call is heard', async () => {
    const scene = await createScene();
    scene.engine.onStart = (request, emit) => {
      const turn = new ManualTurn(request, emit);
      turn.speak('at once');
      turn.endMessage('at once');
      turn.endRun();
      turn.finish();
      return turn;
    };
    await scene.prompt('p');
    expect(scene.client.events()).toEqual([
      'agent_start',
      'turn_start',
      'message_start',
      'message_update',
      'message_end',
      'turn_end',
      'agent_end',
    ]);
    expect(scene.response('p')).toMatchObject({ success: true });
    await expectGoesOn(scene);
  });

  it('may emit what nobody knows: it is shown and not kept', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.emit({ type: 'weather', value: 'rain' });
    scene.engine.turn.finish();
    await scene.world.settle();
    expect(scene.client.of('event')).toMatchObject([{ event: { type: 'weather' }, ephemeral: true, seq: 0 }]);
    await expectGoesOn(scene);
  });

  it.each([
    ['null', null],
    ['nothing', undefined],
    ['a number', 7],
    ['no type', { message: 'm' }],
    ['a type that is no text', { type: 7 }],
    ['what can not be written', { type: 'message_end', message: 1n }],
    ['a circle', circle()],
  ])('that emits %s fails its turn and nobody else', async (_, event) => {
    const scene = await createScene();
    await scene.prompt('p');
    await scene.send({ type: 'create_session', id: 'c', sessionId: 'b' });
    scene.engine.turn.emit(event as SessionEvent);
    scene.engine.turn.finish();
    await scene.send({ type: 'set_session_name', id: 'n', sessionId: 'b', name: 'n' });
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    expect(scene.response('n')).toMatchObject({ success: true });
    await expectGoesOn(scene);
  });

  it('that gives a resume handle which is no JSON fails its turn and nobody else', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.finish({ status: 'completed', resume: circle() as Json });
    await scene.world.settle();
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    await expectGoesOn(scene);
  });

  it('that returns nonsense as its result fails its turn', async () => {
    const scene = await createScene();
    await scene.prompt('p');
    scene.engine.turn.finish(null as never);
    await scene.world.settle();
    expect(scene.response('p')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    await expectGoesOn(scene);
  });

  it('says whose fault a failure is', async () => {
    for (const [kind, errorCode] of [
      ['provider', undefined],
      ['user', 'UNSUPPORTED'],
      ['timeout', 'ENGINE_UNAVAILABLE'],
    ] as const) {
      const scene = await createScene();
      await scene.prompt('p');
      scene.engine.turn.finish({ status: 'failed', kind, message: 'why', ...(errorCode && { errorCode }) });
      await scene.world.settle();
      expect(scene.response('p')).toMatchObject({
        errorCode: errorCode ?? 'ENGINE_FAILED',
        error: 'why',
        details: { kind },
      });
    }
  });

  it('that is gone from the server after a restart is named', async () => {
    const { send, client, world } = await createScene({ engines: [createScriptedEngine()] });
    expect(client.frames).toEqual([]);
    await send({ type: 'create_session', id: 'c', sessionId: 'b', input: { turns: [[{ text: 'hi' }]] } });
    await world.stop();
    const next = await createScene({ store: world.store });
    await next.prompt('p', 'b');
    expect(next.response('p')).toMatchObject({ errorCode: 'ENGINE_UNAVAILABLE' });
    expect(next.response('p')?.['error']).toContain('scripted');
  });
});

describe('a scripted engine that throws', () => {
  it('fails the prompt and no other session', async () => {
    const { client, send, world } = await createScene({ engines: [createScriptedEngine()] });
    const turns = [[{ text: 'before' }, { throw: 'a bug' }], [{ text: 'fine' }]];
    await send({ type: 'create_session', id: 'c', sessionId: 'b', input: { turns } });
    await send({ type: 'prompt', id: 'p1', sessionId: 'b', message: 'm' });
    await world.settle();
    await send({ type: 'prompt', id: 'p2', sessionId: 'b', message: 'm' });
    await world.settle();
    expect(client.response('p1')).toMatchObject({ errorCode: 'ENGINE_FAILED', error: 'a bug' });
    expect(client.response('p2')).toMatchObject({ success: true });
  });
});

describe('a handler that throws', () => {
  it('fails its command with INTERNAL_ERROR, once, and nothing else', async () => {
    const broken = sessionCommand({
      type: 'broken',
      scope: 'drive',
      lane: 'work',
      activity: 'user',
      fields: envelopes.session,
      decide: () => {
        throw new Error('a secret in a stack');
      },
    });
    const { client, send, world } = await createScene({ commands: [broken] });
    await send(
      { type: 'broken', id: 'b', sessionId: 's' },
      { type: 'set_session_name', id: 'n', sessionId: 's', name: 'n' },
      { type: 'broken', id: 'b', sessionId: 's' },
    );
    expect(client.response('b')).toMatchObject({ success: false, errorCode: 'INTERNAL_ERROR', replayed: true });
    expect(JSON.stringify(client.frames)).not.toContain('secret');
    expect(client.response('n')).toMatchObject({ success: true, sessionVersion: 1 });
    expect(world.observations).toContainEqual(
      expect.objectContaining({ message: 'command handler threw', commandId: 'b' }),
    );
  });
});

function circle(): object {
  const object: Record<string, unknown> = { type: 'message_end' };
  object['message'] = object;
  return object;
}
