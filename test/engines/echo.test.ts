import { describe, expect, it } from 'vitest';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { DELTAS_MAX } from '../../src/engines/stage.ts';
import { answerOf, runTurn, until, userTexts } from '../../src/testing/turn-under-test.ts';

const engine = createEchoEngine();

describe('echo', () => {
  it.each([
    [{ delay: 5 }, 'delay: unknown key'],
    [{ delayMs: 5, delay: 5 }, 'delay: unknown key'],
    [{ delayMs: '5' }, 'delayMs: Invalid input: expected number, received string'],
    [{ delayMs: 1.5 }, 'delayMs: Invalid input: expected int'],
    [{ delayMs: -1 }, 'delayMs: Too small'],
    [{ delayMs: 2 ** 31 }, 'delayMs: Too big'],
    ['5', 'input: Invalid input: expected object, received string'],
  ])('refuses the input %j', (input, problem) => {
    expect(engine.checkInput(input)).toContain(problem);
  });

  it.each([null, {}, { delayMs: 0 }, { delayMs: 2 ** 31 - 1 }])('accepts the input %j', (input) => {
    expect(engine.checkInput(input)).toBeUndefined();
  });

  it('shows these events, in this order', async () => {
    const turn = runTurn(engine, { input: { message: 'hello big world' } });
    await turn.finish();
    const shown = turn.events.map((event) => {
      const update = event['assistantMessageEvent'] as { type: string; delta?: string } | undefined;
      const message = event['message'] as { role: string } | undefined;
      return [event.type, update?.type ?? message?.role, update?.delta].filter((part) => part !== undefined).join(' ');
    });
    expect(shown).toEqual([
      'agent_start',
      'turn_start',
      'message_start user',
      'message_end user',
      'message_start assistant',
      'message_update text_start',
      'message_update text_delta hello',
      'message_update text_delta  big',
      'message_update text_delta  world',
      'message_update text_end',
      'message_end assistant',
      'turn_end assistant',
      'agent_end',
    ]);
  });

  it('has messages in the shape of pi’s', async () => {
    const images = [{ type: 'image', data: 'aGk=', mimeType: 'image/png' }];
    const turn = runTurn(engine, { input: { message: 'hello', images } });
    const timestamp = turn.clock.now();
    await turn.finish();
    expect(turn.events.find((event) => event.type === 'agent_end')).toEqual({
      type: 'agent_end',
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'hello' }, ...images], timestamp },
        {
          role: 'assistant',
          content: [{ type: 'text', text: 'hello' }],
          api: 'echo',
          provider: 'echo',
          model: 'echo',
          usage: {
            input: 0,
            output: 0,
            cacheRead: 0,
            cacheWrite: 0,
            totalTokens: 0,
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
          },
          stopReason: 'stop',
          timestamp,
        },
      ],
    });
  });

  it('an undelayed turn is over before any other work of the process runs', async () => {
    const turn = runTurn(engine, { input: { message: 'one two three' } });
    let over = false;
    void turn.handle.finished.then(() => (over = true));
    // Only promises go on here, no timer and no I/O: all events can be in one batch of the journal.
    for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
    expect(over).toBe(true);
    expect(turn.events.at(-1)?.type).toBe('agent_end');
  });

  it('waits before each word when asked to', async () => {
    const turn = runTurn(engine, { input: { message: 'one two three' }, sessionInput: { delayMs: 100 } });
    const lengths: number[] = [];
    for (let step = 0; step < 4; step += 1) {
      await turn.clock.advanceAsync(step === 0 ? 99 : 100);
      lengths.push(turn.deltas().length);
    }
    expect(lengths).toEqual([0, 3, 7, 13]);
    expect(turn.events.at(-1)?.type).toBe('agent_end');
  });

  it.each(['', ' ', ' leading', 'trailing \n', 'two  spaces\tand\n\nlines', '\u2028', 'ümläut 日本語 🎭'])(
    'gives %j back as it was',
    async (message) => {
      const turn = runTurn(engine, { input: { message } });
      await turn.finish();
      expect(answerOf(turn.events)).toBe(message);
      expect(turn.deltas()).toBe(message);
    },
  );

  it('streams a long text in a bounded number of deltas', async () => {
    const message = Array.from({ length: DELTAS_MAX * 3 + 1 }, (_, index) => `w${index}`).join(' ');
    const turn = runTurn(engine, { input: { message } });
    await turn.finish();
    expect(turn.deltas()).toBe(message);
    const updates = turn.events.filter((event) => event.type === 'message_update');
    expect(updates.length).toBeLessThanOrEqual(DELTAS_MAX + 2);
  });

  it('answers a steer and then the follow-ups, each by its own text', async () => {
    const turn = runTurn(engine, { input: { message: 'one two' }, sessionInput: { delayMs: 10 } });
    await until(turn.clock, () => turn.answering());
    turn.handle.followUp({ message: ' three' });
    turn.handle.steer({ message: ' steered' });
    await turn.finish();
    expect(userTexts(turn.events)).toEqual(['one two', ' steered', ' three']);
    expect(answerOf(turn.events)).toBe('one two steered three');
    expect(turn.events.filter((event) => event.type === 'turn_end')).toHaveLength(3);
  });

  it('stops in the middle of a word stream when aborted', async () => {
    const turn = runTurn(engine, { input: { message: 'one two three' }, sessionInput: { delayMs: 10 } });
    await turn.clock.advanceAsync(20);
    turn.abort();
    expect(turn.clock.pendingTimers).toBe(0);
    await turn.clock.advanceAsync(1_000);
    expect(turn.deltas()).toBe('one two');
    expect(turn.events.at(-1)?.type).toBe('message_update');
    expect(await turn.settled()).toEqual({ status: 'completed' });
    expect(turn.handle.steer({ message: 'too late' })).toBe(false);
  });
});
