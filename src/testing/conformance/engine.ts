/**
 * One suite for every engine: what the Engine port promises, as tests. An engine says with `does` what it can do beyond the
 * port's minimum, and only tests of that are defined: nothing is skipped.
 *
 * Engines that wait on the request's clock and engines that wait for a network run alike: the suite moves the simulated
 * clock and lets I/O go on until the turn lets go.
 */
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../actors/message.ts';
import type { TurnRequest } from '../../../actors/ports.ts';
import type { SessionEvent } from '../../../actors/session/event.ts';
import { EventGrammar, grammarOffence } from '../event-grammar.ts';
import { answerOf, runTurn, userTexts, type TurnUnderTest } from '../turn-under-test.ts';
import { aborting, steering } from './engine-interruption.ts';
import { expectNothingLeft, prepared, textOfInput, type EngineSuite } from './engine-suite.ts';

/** Defines the tests of an engine, in the test file that calls it. */
export function engineConformance(suite: EngineSuite): void {
  describe(`engine ${suite.name} keeps the port's promises:`, () => {
    startingAndEnding(suite);
    events(suite);
    aborting(suite);
    steering(suite);
    memory(suite);
    failures(suite);
  });
}

function startingAndEnding(suite: EngineSuite): void {
  it('prepare makes it ready, more than once', async () => {
    const engine = suite.create();
    await engine.prepare();
    await engine.prepare();
    expect(engine.ready).toBe(true);
    await engine.close();
  });

  it('checkInput accepts what is right and names what is wrong', () => {
    const engine = suite.create();
    for (const { sessionInput } of [suite.slow, suite.endless]) expect(engine.checkInput(sessionInput)).toBeUndefined();
    for (const { input, names } of suite.wrong) expect(engine.checkInput(input)).toContain(names);
  });

  it('start does not throw on an input that is wrong: the turn fails as the user’s', async () => {
    const engine = await prepared(suite);
    for (const { input: sessionInput } of suite.wrong) {
      const result = await runTurn(engine, { ...suite.slow, sessionInput }).finish();
      expect(result).toMatchObject({ status: 'failed', kind: 'user' });
    }
    await engine.close();
  });

  it('start emits nothing before it has returned', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    expect(turn.eventsDuringStart).toBe(0);
    await turn.finish();
    expect(turn.events.length).toBeGreaterThan(0);
    await engine.close();
  });

  it('nothing is emitted after the turn has let go, and no timer is left', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await turn.finish();
    const before = turn.events.length;
    expect(turn.handle.steer({ message: 'too late' }), 'takes a steer after its end').toBe(false);
    expect(turn.handle.followUp({ message: 'too late' }), 'takes a follow-up after its end').toBe(false);
    await turn.clock.advanceAsync(3_600_000);
    expect(turn.events.length).toBe(before);
    await expectNothingLeft(turn, engine);
  });

  it('forgets sessions that it never saw, and closes twice', async () => {
    const engine = await prepared(suite);
    engine.forget('never seen');
    await engine.close();
    await engine.close();
  });

  it('keeps turns of different sessions apart', async () => {
    const engine = await prepared(suite);
    const turns = ['left', 'right'].map((sessionId) => runTurn(engine, { ...suite.slow, sessionId }));
    await Promise.all(turns.map((turn) => turn.finish()));
    for (const turn of turns) {
      expect(grammarOffence(turn.events)).toBeUndefined();
      expect(userTexts(turn.events)).toHaveLength(1);
    }
    await engine.close();
  });
}

function events(suite: EngineSuite): void {
  it('the events of a turn follow the grammar and end with it', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    expect(await turn.finish()).toMatchObject({ status: 'completed' });
    const grammar = new EventGrammar();
    expect(turn.events.map((event) => grammar.accept(event)).filter((offence) => offence !== undefined)).toEqual([]);
    expect(grammar.complete).toBe(true);
    await engine.close();
  });

  it('events are JSON, and a delta carries no partial message', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await turn.finish();
    expect(JSON.parse(JSON.stringify(turn.events))).toEqual(turn.events);
    const updates = turn.events.filter((event) => event.type === 'message_update');
    expect(updates.length).toBeGreaterThan(0);
    for (const update of updates) {
      expect(Object.keys(update).sort()).toEqual(['assistantMessageEvent', 'type']);
      expect(update['assistantMessageEvent']).not.toHaveProperty('partial');
    }
    await engine.close();
  });

  it('the deltas of a message are its text, and agent_end repeats the messages', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await turn.finish();
    expect(answerOf(turn.events)).not.toBe('');
    expect(turn.deltas()).toBe(answerOf(turn.events));
    const ended = turn.events.filter((event) => event.type === 'message_end').map((event) => event['message']);
    expect(turn.events.at(-1)).toEqual({ type: 'agent_end', messages: ended });
    await engine.close();
  });

  it('the user’s message comes first', async () => {
    const engine = await prepared(suite);
    const turn = runTurn(engine, suite.slow);
    await turn.finish();
    const message = turn.events.find((event) => event.type === 'message_end')?.['message'];
    expect(message).toMatchObject({ role: 'user', content: [{ type: 'text', text: textOfInput(suite.slow.input) }] });
    await engine.close();
  });
}

function memory(suite: EngineSuite): void {
  const { remember } = suite.does;
  if (remember === undefined) {
    it('an engine without a memory of its own gives no handle and does not look at one', async () => {
      const engine = await prepared(suite);
      const turn = runTurn(engine, { ...suite.slow, resume: { foreign: ['handle'] } });
      const result = await turn.finish();
      expect(result).toMatchObject({ status: 'completed' });
      expect(result.resume).toBeUndefined();
      await engine.close();
    });
    return;
  }

  it('the handle of a turn brings its messages into the next one, in another instance too', async () => {
    const { turn: first, resume } = await finishedTurn(suite, null);
    const alone = remember.seen();
    expect(JSON.parse(JSON.stringify(resume))).toEqual(resume);
    const engine = await prepared(suite);
    const second = runTurn(engine, { ...suite.slow, turn: 2, resume, sessionId: first.request.sessionId });
    await second.finish();
    expect(remember.seen()).toBe(alone + 2);
    await engine.close();
  });

  it('a turn starts from the handle that it is given, not from the end of what the engine wrote', async () => {
    const first = await finishedTurn(suite, null);
    await finishedTurn(suite, first.resume);
    const afterTwo = remember.seen();
    await finishedTurn(suite, first.resume);
    expect(remember.seen()).toBe(afterTwo);
  });

  it('a handle that leads nowhere fails the turn as a result', async () => {
    const engine = await prepared(suite);
    const result = await runTurn(engine, { ...suite.slow, turn: 2, resume: { foreign: ['handle'] } }).finish();
    expect(result).toMatchObject({ status: 'failed' });
    await engine.close();
  });
}

async function finishedTurn(suite: EngineSuite, resume: Json): Promise<{ turn: TurnUnderTest; resume: Json }> {
  const engine = await prepared(suite);
  const turn = runTurn(engine, { ...suite.slow, resume, turn: resume === null ? 1 : 2 });
  const result = await turn.finish();
  expect(result).toMatchObject({ status: 'completed' });
  expect(result.resume ?? null).not.toBeNull();
  await engine.close();
  return { turn, resume: result.resume ?? null };
}

function failures(suite: EngineSuite): void {
  const { fail, effects } = suite.does;
  if (fail !== undefined) {
    it('a failure is a result with a text, and closes what was open', async () => {
      const engine = await prepared(suite);
      const turn = runTurn(engine, fail);
      const result = await turn.finish();
      expect(result).toMatchObject({
        status: 'failed',
        kind: fail.kind,
        message: expect.stringMatching(/./) as string,
      });
      expect(grammarOffence(turn.events)).toBeUndefined();
      expect(turn.handle.steer({ message: 'too late' }), 'takes a steer after its end').toBe(false);
      await expectNothingLeft(turn, engine);
    });
  }
  if (effects !== undefined) {
    it('tool calls are named after the effect id: alike for one attempt, different for another', async () => {
      const engine = await prepared(suite);
      const calls = async (overrides: Partial<TurnRequest>): Promise<Json[]> => {
        const turn = runTurn(engine, { ...effects, ...overrides });
        await turn.finish();
        const started = turn.events.filter((event: SessionEvent) => event.type === 'tool_execution_start');
        return started.map((event) => event['toolCallId'] ?? null);
      };
      const first = await calls({ effectId: 'effect-1' });
      expect(first).not.toEqual([]);
      expect(await calls({ effectId: 'effect-1' })).toEqual(first);
      expect(await calls({ effectId: 'effect-2' })).not.toEqual(first);
      await engine.close();
    });
  }
}
