import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { grammarOffence } from '../../src/testing/event-grammar.ts';
import { answerOf, runTurn, until, userTexts, type TurnUnderTest } from '../../src/testing/turn-under-test.ts';

const engine = createScriptedEngine();

/** Plays one list of steps as a session's first turn. */
function play(...steps: Json[]): TurnUnderTest {
  return runTurn(engine, { sessionInput: { turns: [steps] }, input: { message: 'go' } });
}

function typesOf(turn: TurnUnderTest): string[] {
  return turn.events.map((event) => event.type).filter((type) => type !== 'message_update');
}

function assistantMessages(turn: TurnUnderTest): { usage: { input: number; output: number; totalTokens: number } }[] {
  const ended = turn.events.filter((event) => event.type === 'message_end').map((event) => event['message']);
  return ended.filter((message) => (message as { role: string }).role === 'assistant') as never;
}

describe('a script that is wrong', () => {
  it.each<[string, Json, string]>([
    ['no input', null, 'Expected {"turns":[[STEP, ...], ...]}'],
    ['no list', { turns: [] }, 'turns: Too small'],
    ['a list that is none', { turns: [{ text: 'a' }] }, 'turns[0]: Invalid input: expected array, received object'],
    ['a key beside turns', { turns: [[]], loop: true }, 'loop: unknown key'],
    ['a step without a known key', { turns: [[{ say: 'a' }]] }, 'turns[0][0]: A step has one of the keys text, tool,'],
    ['an option that nobody knows', { turns: [[{ text: 'a', loud: true }]] }, 'turns[0][0].loud: unknown key'],
    ['two steps in one', { turns: [[{ text: 'a', hang: true }]] }, 'turns[0][0].hang: unknown key'],
    ['a text that is none', { turns: [[{ text: 1 }]] }, 'turns[0][0].text: Invalid input: expected string'],
    ['a delay that is none', { turns: [[], [{ text: 'a' }, { delayMs: '5' }]] }, 'turns[1][1].delayMs: Invalid input'],
    ['a delay that Node cannot wait', { turns: [[{ delayMs: 2 ** 31 }]] }, 'turns[0][0].delayMs: Too big'],
    ['a tool without a name', { turns: [[{ tool: {} }]] }, 'turns[0][0].tool.name: Invalid input'],
    ['a tool with an unknown key', { turns: [[{ tool: { name: 'a', run: 1 } }]] }, 'turns[0][0].tool.run: unknown key'],
    ['a kind of failure', { turns: [[{ fail: 'a', kind: 'bug' }]] }, 'turns[0][0].kind: Invalid option'],
    ['a hang that is not true', { turns: [[{ hang: false }]] }, 'turns[0][0].hang: Invalid input: expected true'],
    ['usage below zero', { turns: [[{ usage: { input: -1 } }]] }, 'turns[0][0].usage.input: Too small'],
    ['a method of asking', { turns: [[{ ask: { method: 'shout' } }]] }, 'turns[0][0].ask.method: Invalid option'],
    ['too many lists', { turns: Array.from({ length: 1_001 }, () => []) }, 'turns: Too big'],
    ['too many steps', { turns: [Array.from({ length: 1_001 }, () => ({ text: '' }))] }, 'turns[0]: Too big'],
  ])('is refused with its place: %s', (_, input, problem) => {
    expect(engine.checkInput(input)).toContain(problem);
  });

  it('names every offence', () => {
    expect(engine.checkInput({ turns: [[{ text: 1 }, { hang: 1 }]] })).toMatch(/turns\[0\]\[0\].*; turns\[0\]\[1\]/);
  });

  it('is accepted when it is right', () => {
    const tool = { name: 'ls', args: { path: ['.'] }, result: { content: [] }, delayMs: 5 };
    const ask = { method: 'select', title: 'Which?', options: ['a', 'b'], timeoutMs: 5, roles: ['driver'] };
    const steps = [{ text: 'a', delayMs: 1 }, { delayMs: 1 }, { tool }, { ask }, { fail: 'a', kind: 'user' }];
    const others = [{ hang: true }, { throw: 'a' }, { crashProcess: true }, { usage: { input: 1, output: 2 } }];
    expect(engine.checkInput({ turns: [[...steps, ...others], []] })).toBeUndefined();
  });
});

describe('failing steps', () => {
  it.each(['provider', 'user', 'timeout'] as const)('fail ends the turn as a failure of kind %s', async (kind) => {
    const turn = play({ text: 'one' }, { fail: 'out of luck', kind }, { text: 'two' });
    expect(await turn.finish()).toEqual({ status: 'failed', kind, message: 'out of luck' });
    expect(answerOf(turn.events)).toBe('one');
    expect(grammarOffence(turn.events)).toBeUndefined();
    expect(turn.events.at(-1)?.type).toBe('agent_end');
  });

  it('fail is the provider’s when nothing else is said, and shows as pi shows it', async () => {
    const turn = play({ fail: '500 boom' });
    expect(await turn.finish()).toMatchObject({ kind: 'provider' });
    const error = { role: 'assistant', content: [], stopReason: 'error', errorMessage: '500 boom' };
    expect(assistantMessages(turn)).toMatchObject([error]);
  });

  it('ask fails the turn as UNSUPPORTED and names the step', async () => {
    const turn = play({ text: 'one' }, { ask: { method: 'confirm', title: 'Sure?' } }, { text: 'You said ${answer}' });
    const message = 'This server cannot ask the user yet, which turns[0][1].ask wants.';
    expect(await turn.finish()).toEqual({ status: 'failed', kind: 'user', errorCode: 'UNSUPPORTED', message });
    expect(answerOf(turn.events)).toBe('one');
  });

  it('throw is a rejection: a bug, not a result', async () => {
    const turn = play({ text: 'one' }, { throw: 'what a bug' });
    await expect(turn.finish()).rejects.toThrow('what a bug');
    expect(answerOf(turn.events)).toBe('one');
    expect(turn.clock.pendingTimers).toBe(0);
  });

  it('crashProcess fails the turn unless the server allows it', async () => {
    const turn = play({ crashProcess: true });
    const message = 'turns[0][0].crashProcess needs a server started with --allow-crash.';
    expect(await turn.finish()).toEqual({ status: 'failed', kind: 'user', message });
  });

  it('crashProcess kills the process at once where it is allowed', async () => {
    const { signal, stdout } = await crashingProcess();
    expect(signal).toBe('SIGKILL');
    expect(stdout).toBe('began\n');
  });

  it('hang ends by an abort alone', async () => {
    const turn = play({ text: 'one' }, { hang: true }, { text: 'two' });
    await turn.clock.advanceAsync(10 * 24 * 3_600_000);
    expect(answerOf(turn.events)).toBe('one');
    expect(turn.handle.steer({ message: 'wake up' })).toBe(true);
    await turn.clock.advanceAsync(1_000);
    expect(userTexts(turn.events)).toEqual(['go']);
    turn.abort();
    expect(await turn.settled()).toEqual({ status: 'completed' });
    expect(turn.events.at(-1)?.type).toBe('message_end');
  });
});

describe('steps', () => {
  it('each text is a message and a turn of its own', async () => {
    const turn = play({ text: 'one two' }, { text: 'three' });
    expect(await turn.finish()).toEqual({ status: 'completed' });
    expect(typesOf(turn)).toEqual([
      'agent_start',
      'turn_start',
      ...['message_start', 'message_end'],
      ...['message_start', 'message_end'],
      'turn_end',
      'turn_start',
      ...['message_start', 'message_end'],
      'turn_end',
      'agent_end',
    ]);
    expect(assistantMessages(turn)).toHaveLength(2);
  });

  it('a text waits before each word when asked to', async () => {
    const turn = play({ text: 'one two', delayMs: 10 });
    await turn.clock.advanceAsync(19);
    expect(turn.deltas()).toBe('one');
    await turn.clock.advanceAsync(1);
    expect(turn.deltas()).toBe('one two');
  });

  it('delayMs waits exactly that long', async () => {
    const turn = play({ text: 'one' }, { delayMs: 500 }, { text: ' two' });
    await turn.clock.advanceAsync(499);
    expect(answerOf(turn.events)).toBe('one');
    await turn.clock.advanceAsync(1);
    expect(answerOf(turn.events)).toBe('one two');
    expect(turn.events.at(-1)?.type).toBe('agent_end');
  });

  it('tool shows the call, its execution and its result', async () => {
    const turn = play({ tool: { name: 'ls', args: { path: '.' }, result: 'a.txt', delayMs: 50 } }, { text: 'done' });
    await turn.clock.advanceAsync(49);
    expect(typesOf(turn).at(-1)).toBe('tool_execution_start');
    await turn.clock.advanceAsync(1);
    const content = [{ type: 'text', text: 'a.txt' }];
    const call = { toolCallId: 'effect-1/1', toolName: 'ls' };
    const events = turn.events.filter((event) => event.type.startsWith('tool_execution'));
    expect(events).toEqual([
      { type: 'tool_execution_start', ...call, args: { path: '.' } },
      { type: 'tool_execution_update', ...call, args: { path: '.' }, partialResult: { content } },
      { type: 'tool_execution_end', ...call, result: { content }, isError: false },
    ]);
    const messages = turn.events.at(-1)?.['messages'] as { role: string; content: unknown; stopReason?: string }[];
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'assistant']);
    expect(messages[1]).toMatchObject({
      stopReason: 'toolUse',
      content: [{ type: 'toolCall', id: 'effect-1/1', name: 'ls', arguments: { path: '.' } }],
    });
    expect(messages[2]).toMatchObject({ ...call, content, isError: false });
    const turnEnd = turn.events.find((event) => event.type === 'turn_end');
    expect(turnEnd).toMatchObject({ message: messages[1], toolResults: [messages[2]] });
  });

  it.each<[Json, Json]>([
    ['text', [{ type: 'text', text: 'text' }]],
    [{ rows: 3 }, [{ type: 'text', text: '{"rows":3}' }]],
    [{ content: [{ type: 'image' }] }, [{ type: 'image' }]],
  ])('tool takes the result %j', async (result, content) => {
    const turn = play({ tool: { name: 'ls', result } });
    await turn.finish();
    expect(turn.events.find((event) => event.type === 'tool_execution_end')?.['result']).toEqual({ content });
  });

  it('an undelayed list is over before any other work of the process runs', async () => {
    const turn = play(
      { text: 'one' },
      { delayMs: 0 },
      { tool: { name: 'ls' } },
      { usage: { input: 1 } },
      { text: 'two' },
    );
    for (let hop = 0; hop < 50; hop += 1) await Promise.resolve();
    expect(turn.events.at(-1)?.type).toBe('agent_end');
  });

  it('an abort in a tool leaves no timer', async () => {
    const turn = play({ tool: { name: 'ls', delayMs: 1_000 } });
    await turn.clock.advanceAsync(10);
    turn.abort();
    await turn.settled();
    expect(turn.clock.pendingTimers).toBe(0);
    expect(typesOf(turn).at(-1)).toBe('tool_execution_start');
  });

  it('an empty list shows the prompt and ends', async () => {
    const turn = play();
    expect(await turn.finish()).toEqual({ status: 'completed' });
    expect(grammarOffence(turn.events)).toBeUndefined();
    expect(userTexts(turn.events)).toEqual(['go']);
  });
});

describe('usage', () => {
  const usage = (input: number, output: number): Json => ({ usage: { input, output } });
  const a = { text: 'a' };
  const b = { text: 'b' };

  it.each<[string, Json[], [number, number][]]>([
    ['before it', [a, usage(1, 2), b], [[1, 2], [0, 0]]], // prettier-ignore
    ['after it, where none is before', [usage(1, 2), a, b], [[1, 2], [0, 0]]], // prettier-ignore
    ['after it, where the one before has its numbers', [usage(1, 2), a, usage(3, 4), b], [[1, 2], [3, 4]]], // prettier-ignore
    ['before it, twice, where none follows', [a, usage(1, 2), usage(3, 4)], [[4, 6]]],
    ['with a tool call', [{ tool: { name: 'ls' } }, usage(1, 2)], [[1, 2]]],
    ['of its own, where nobody speaks', [usage(1, 2)], [[1, 2]]],
  ])('counts for the message %s', async (_, steps, expected) => {
    const turn = play(...steps);
    await turn.finish();
    expect(assistantMessages(turn).map((message) => [message.usage.input, message.usage.output])).toEqual(expected);
    for (const message of assistantMessages(turn)) {
      expect(message.usage.totalTokens).toBe(message.usage.input + message.usage.output);
    }
  });

  it('starts at zero while the message streams', async () => {
    const turn = play(a, usage(1, 2));
    await turn.finish();
    const starts = turn.events.filter((event) => event.type === 'message_start');
    expect(starts.at(-1)?.['message']).toMatchObject({ content: [], usage: { totalTokens: 0 } });
  });
});

describe('turns', () => {
  it('the n-th prompt runs the n-th list, and the last one repeats', async () => {
    const sessionInput = { turns: [[{ text: 'first' }], [{ text: 'second' }]] };
    const answers = [1, 2, 3, 50].map(async (turn) => {
      const run = runTurn(engine, { sessionInput, turn });
      await run.finish();
      return answerOf(run.events);
    });
    expect(await Promise.all(answers)).toEqual(['first', 'second', 'second', 'second']);
  });

  it('a steer is shown before the next step, and the script goes on', async () => {
    const turn = play({ text: 'one' }, { delayMs: 100 }, { text: 'two' });
    await turn.clock.advanceAsync(50);
    turn.handle.steer({ message: 'other way' });
    await turn.finish();
    expect(texts(turn)).toEqual(['user go', 'assistant one', 'user other way', 'assistant two']);
    expect(grammarOffence(turn.events)).toBeUndefined();
  });

  it('steers that came before the turn are shown before its first step', async () => {
    const sessionInput = { turns: [[{ text: 'one' }]] };
    const turn = runTurn(engine, {
      sessionInput,
      input: { message: 'go' },
      steers: [{ message: 'a' }, { message: 'b' }],
    });
    await turn.finish();
    expect(texts(turn)).toEqual(['user go', 'user a', 'user b', 'assistant one']);
  });

  it('a steer that no step is left for is answered by its own text', async () => {
    const turn = play({ text: 'one two', delayMs: 10 });
    await until(turn.clock, () => turn.answering());
    turn.handle.steer({ message: 'wait' });
    await turn.finish();
    expect(texts(turn)).toEqual(['user go', 'assistant one two', 'user wait', 'assistant wait']);
  });

  it('follow-ups run after the last step, one by one', async () => {
    const turn = play({ delayMs: 100 }, { text: 'one' });
    turn.handle.followUp({ message: 'a' });
    turn.handle.followUp({ message: 'b' });
    await turn.finish();
    const followed = ['user a', 'assistant a', 'user b', 'assistant b'];
    expect(texts(turn)).toEqual(['user go', 'assistant one', ...followed]);
  });
});

function texts(turn: TurnUnderTest): string[] {
  const ended = turn.events.filter((event) => event.type === 'message_end').map((event) => event['message']);
  return (ended as { role: string; content: { text: string }[] }[]).map(
    ({ role, content }) => `${role} ${content.map((part) => part.text).join('')}`,
  );
}

/** A process of its own that plays a crash. */
async function crashingProcess(): Promise<{ signal?: string; stdout: string }> {
  const file = (path: string): string => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)));
  const program = `
    import { createScriptedEngine } from ${file('engines/scripted.ts')};
    import { runTurn } from ${file('testing/turn-under-test.ts')};
    const turns = [[{ text: 'one' }, { crashProcess: true }]];
    process.on('exit', () => console.log('left in order'));
    console.log('began');
    const turn = runTurn(createScriptedEngine({ allowCrash: true }), { sessionInput: { turns } });
    console.log(JSON.stringify(await turn.finish()));
  `;
  try {
    return await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  } catch (error) {
    return error as { signal: string; stdout: string };
  }
}
