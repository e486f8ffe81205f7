/**
 * The part of the engines' suite that reaches into a running turn: aborts, steers, follow-ups.
 */
import { expect, it } from 'vitest';
import type { SessionEvent } from '../../../actors/session/event.ts';
import { grammarOffence } from '../event-grammar.ts';
import { answerOf, runTurn, until, userTexts } from '../turn-under-test.ts';
import { expectNothingLeft, prepared, textOfInput, type EngineSuite } from './engine-suite.ts';

export function aborting(suite: EngineSuite): void {
  it('an abort settles the turn without waiting for time to pass, and leaves no timer', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.endless);
    await until(turn.clock, () => turn.answering());
    const at = turn.clock.now();
    turn.abort();
    expect(turn.handle.steer({ message: 'too late' }), 'takes a steer after the abort').toBe(false);
    await turn.settled();
    expect(turn.clock.now()).toBe(at);
    expect(grammarOffence(turn.seenBeforeAbort())).toBeUndefined();
    await expectNothingLeft(turn, engine);
  });

  it('an abort from inside of an event is an abort', async () => {
    const engine = await prepared(suite);
    const controller = new AbortController();
    const onEvent = (event: SessionEvent): void => {
      if (event.type === 'message_update') controller.abort();
    };
    const turn = runTurn(engine, { ...suite.endless, controller, onEvent });
    await until(turn.clock, () => turn.answering());
    await turn.settled();
    await expectNothingLeft(turn, engine);
  });

  it('a turn that was aborted before it began settles and shows nothing', async () => {
    const engine = await prepared(suite);
    const controller = new AbortController();
    controller.abort();
    const turn = runTurn(engine, { ...suite.endless, controller });
    await turn.settled();
    expect(turn.events).toEqual([]);
    await expectNothingLeft(turn, engine);
  });

  it('the session takes its next turn after an abort', async () => {
    const engine = await prepared(suite);
    const aborted = runTurn(engine, suite.endless);
    await until(aborted.clock, () => aborted.answering());
    aborted.abort();
    await aborted.settled();
    const next = runTurn(engine, { ...suite.slow, turn: 2 });
    expect(await next.finish()).toMatchObject({ status: 'completed' });
    expect(userTexts(next.events)).toHaveLength(1);
    await engine.close();
  });
}

export function steering(suite: EngineSuite): void {
  it('a steer reaches the running turn, once', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await until(turn.clock, () => turn.answering());
    expect(turn.handle.steer({ message: 'say steered' })).toBe(true);
    await turn.finish();
    expect(userTexts(turn.events).filter((text) => text === 'say steered')).toHaveLength(1);
    expect(grammarOffence(turn.events)).toBeUndefined();
    await engine.close();
  });

  it('a message that comes with the last event is shown or refused, never lost', async () => {
    const engine = await prepared(suite);
    const taken: boolean[] = [];
    const onEvent = (event: SessionEvent): void => {
      if (event.type === 'agent_end') taken.push(turn.handle.steer({ message: 'say steered' }));
    };
    const turn = runTurn(engine, { ...suite.slow, onEvent });
    await turn.finish();
    expect(userTexts(turn.events).includes('say steered')).toBe(taken[0]);
    await engine.close();
  });

  it('follow-ups come after everything else, in order, and are answered', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await until(turn.clock, () => turn.answering());
    turn.handle.followUp({ message: 'say first' });
    turn.handle.followUp({ message: 'say second' });
    expect(turn.handle.steer({ message: 'say steered' })).toBe(true);
    await turn.finish();
    expect(userTexts(turn.events).slice(1)).toEqual(['say steered', 'say first', 'say second']);
    expect(answerOf(turn.events)).toContain('second');
    await engine.close();
  });

  it('what waited for the turn is shown in order after the prompt', async () => {
    const engine = await prepared(suite);
    const waiting = { steers: [{ message: 'say steered' }], followUps: [{ message: 'say later' }] };
    const turn = runTurn(engine, { ...suite.slow, ...waiting });
    await turn.finish();
    expect(userTexts(turn.events)).toEqual([textOfInput(suite.slow.input), 'say steered', 'say later']);
    await engine.close();
  });
}
