/**
 * Control and reads over a real socket while a turn runs. That they do not wait for it is seen by the order of frames on one
 * connection and by the turn that still runs, not by a clock.
 */
import { describe, expect, it } from 'vitest';
import { Client, type Frame } from './client.ts';
import { startServer, temporaryFolder } from './server-process.ts';

const sessionId = 's';
const finishedOf = (client: Client, id: string): number =>
  client.frames.findIndex(({ type, data }) => type === 'command_finished' && data.commandId === id);

async function withTurn(turns: unknown): Promise<{ client: Client; other: Client }> {
  const server = await startServer(temporaryFolder());
  const client = await Client.connect(server);
  await client.ask(
    { type: 'create_session', sessionId, engine: 'scripted', input: { turns } },
    { type: 'attach_session', sessionId },
  );
  client.send({ type: 'prompt', id: 'turn', sessionId, message: 'go' });
  await client.until(({ event }) => event?.type === 'agent_start');
  return { client, other: await Client.connect(server) };
}

describe('while a turn runs', () => {
  it('reads and control are answered, and only abort ends it', { timeout: 120_000 }, async () => {
    const { client, other } = await withTurn([[{ hang: true }], [{ text: 'the next turn' }]]);
    client.send({ type: 'set_session_name', id: 'behind', sessionId, name: 'later' });
    const reads = [
      { type: 'get_state', sessionId },
      { type: 'get_messages', sessionId },
      { type: 'list_sessions' },
      { type: 'health_check' },
      { type: 'ping' },
      { type: 'get_startup_recovery' },
      { type: 'get_last_assistant_text', sessionId },
    ];
    const control = [
      { type: 'steer', id: 'steer', sessionId, message: 'left' },
      { type: 'follow_up', id: 'follow', sessionId, message: 'and then' },
      { type: 'detach_session', sessionId },
    ];
    for (const asking of [client, other]) {
      const answers = await asking.ask(...reads, ...control);
      expect(answers.map(({ command, success }) => [command, success])).toEqual(
        [...reads, ...control].map(({ type }) => [type, true]),
      );
      expect(answers[0]!.data).toMatchObject({ isStreaming: true });
    }
    // The work behind it is in its lane and waits.
    await client.lifecycle('accepted', 'behind');
    expect([finishedOf(client, 'turn'), finishedOf(client, 'behind')]).toEqual([-1, -1]);

    const [abort, turn, behind] = await Promise.all([
      other.answer({ type: 'abort', sessionId }),
      client.response('turn'),
      client.response('behind'),
    ]);
    expect(abort.success).toBe(true);
    expect(turn).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect(behind).toMatchObject({ success: true });
    // What was put into the turn went with it: the next one is only its own.
    expect(await client.answer({ type: 'prompt', sessionId, message: 'on' })).toMatchObject({ success: true });
    const messages = (await client.answer({ type: 'get_messages', sessionId })).data.messages as Frame[];
    expect(JSON.stringify(messages)).not.toMatch(/left|and then/);
  });

  it('a steer is heard before the next step and a follow-up after the last one', { timeout: 120_000 }, async () => {
    const tool = { name: 'think', delayMs: 2_000 };
    const { client, other } = await withTurn([[{ text: 'first' }, { tool }, { text: 'last' }]]);
    await client.until(({ event }) => event?.type === 'tool_execution_start');
    const answers = await other.ask(
      { type: 'follow_up', sessionId, message: 'then this' },
      { type: 'steer', sessionId, message: 'left' },
    );
    expect(answers.map(({ success }) => success)).toEqual([true, true]);
    expect(client.frames.some(({ event }) => event?.type === 'tool_execution_end')).toBe(false);
    expect(await client.response('turn')).toMatchObject({ success: true });
    const { messages } = (await client.answer({ type: 'get_messages', sessionId })).data as {
      messages: { role: string; content: { text?: string }[] }[];
    };
    expect(messages.map(({ role, content }) => `${role}: ${content[0]?.text ?? ''}`)).toEqual([
      'user: go',
      'assistant: first',
      'assistant: ',
      'toolResult: ',
      'user: left',
      'assistant: last',
      'user: then this',
      'assistant: then this',
    ]);
  });

  it('a steer and an abort that are sent in one breath with the prompt reach it', { timeout: 120_000 }, async () => {
    const { client } = await withTurn([[{ text: 'first' }], [{ delayMs: 200 }, { text: 'second' }], [{ hang: true }]]);
    await client.response('turn');
    const [steered, steer] = await client.ask(
      { type: 'prompt', sessionId, message: 'two' },
      { type: 'steer', sessionId, message: 'left' },
    );
    expect([steered!.success, steer!.success]).toEqual([true, true]);
    const { messages } = (await client.answer({ type: 'get_messages', sessionId })).data as {
      messages: { content: { text: string }[] }[];
    };
    expect(messages.map(({ content }) => content[0]!.text)).toEqual(['go', 'first', 'two', 'left', 'second']);
    const [aborted, abort] = await client.ask(
      { type: 'prompt', sessionId, message: 'three' },
      { type: 'abort', sessionId },
    );
    expect([aborted!.errorCode, abort!.success]).toEqual(['COMMAND_ABORTED', true]);
  });
});
