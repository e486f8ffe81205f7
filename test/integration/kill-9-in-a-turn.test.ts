/**
 * A server that is killed in the middle of a turn: the turn ends as INTERRUPTED, its clients are owed nothing, and the
 * conversation goes on.
 */
import { describe, expect, it } from 'vitest';
import { Client, type Frame } from './client.ts';
import { soundJournal, type Audit } from './journal-audit.ts';
import { startServer, temporaryFolder, type ServerProcess } from './server-process.ts';

const sessionId = 's';
const KILLED = { code: null, signal: 'SIGKILL' };

/** Types of all durable events of the only session, in order. */
const eventsOf = ({ events }: Audit): string[] => [...events.values()];

const textsOf = ({ data }: Frame): string[] =>
  (data.messages as { role: string; content: { type: string; text?: string }[] }[]).map(
    ({ role, content }) => `${role}: ${content.map(({ type, text }) => text ?? type).join()}`,
  );

/** The first event of this type inside the session, durable or not. */
const event = (client: Client, type: string): Promise<Frame> => client.until((frame) => frame.event?.type === type);

async function restart(dataDir: string): Promise<{ server: ServerProcess; client: Client }> {
  const server = await startServer(dataDir);
  return { server, client: await Client.connect(server) };
}

describe('an echo turn that is cut off by kill -9', () => {
  it(
    'ends as INTERRUPTED, and so does control that waited for it; work behind it runs',
    { timeout: 120_000 },
    async () => {
      const dataDir = temporaryFolder();
      const { server, client } = await restart(dataDir);
      await client.ask(
        { type: 'create_session', sessionId, input: { delayMs: 20 } },
        { type: 'attach_session', sessionId },
      );
      const commands = [
        { type: 'prompt', id: 'cut', sessionId, message: 'word '.repeat(500) },
        { type: 'steer', id: 'aside', sessionId, message: 'never said', dependsOn: ['cut'] },
        { type: 'set_session_name', id: 'renamed', sessionId, name: 'after the crash' },
        { type: 'prompt', id: 'queued', sessionId, message: 'still here', ifSessionVersion: 1 },
        { type: 'prompt', id: 'dependent', sessionId, message: 'never said', dependsOn: ['cut'] },
      ];
      client.send(...commands);
      await Promise.all([
        event(client, 'message_update'),
        ...commands.map(({ id }) => client.lifecycle('accepted', id)),
      ]);
      expect(await server.kill('SIGKILL')).toEqual(KILLED);
      expect(
        client.frames.filter(({ type, id }) => type === 'response' && commands.some((each) => each.id === id)),
      ).toEqual([]);

      const left = await soundJournal(dataDir);
      expect(left).toMatchObject({
        started: ['cut'],
        waitingControl: ['aside'],
        waitingWork: ['renamed', 'queued', 'dependent'],
      });
      expect(client.events(sessionId).map(({ event: shown }) => shown!.type)).toEqual(eventsOf(left));

      const second = await restart(dataDir);
      const [recovery] = await second.client.ask({ type: 'get_startup_recovery' });
      expect(recovery!.data).toMatchObject({ recoveredInFlightFailures: 2, requeued: 3, recoveredSessions: 1 });
      expect(recovery!.data.recoveredInFlight).toMatchObject([
        {
          commandId: 'cut',
          commandType: 'prompt',
          lastPhase: 'started',
          errorCode: 'INTERRUPTED',
          laneKey: 'session:s',
        },
        { commandId: 'aside', commandType: 'steer', lastPhase: 'accepted', errorCode: 'INTERRUPTED' },
      ]);
      const answers = await second.client.ask(...commands);
      expect(
        answers.map(({ id, errorCode, sessionVersion, replayed }) => [id, errorCode, sessionVersion, replayed]),
      ).toEqual([
        ['cut', 'INTERRUPTED', undefined, true],
        ['aside', 'INTERRUPTED', undefined, true],
        ['renamed', undefined, 1, true],
        ['queued', undefined, 2, true],
        ['dependent', 'DEPENDENCY_FAILED', undefined, true],
      ]);

      // At most the user's message and a part of the answer are left of the turn that was cut off.
      expect(await second.client.answer({ type: 'prompt', sessionId, message: 'go on' })).toMatchObject({
        success: true,
      });
      const [state, messages] = await second.client.ask(
        { type: 'get_state', sessionId },
        { type: 'get_messages', sessionId },
      );
      expect(state!.data).toMatchObject({ sessionName: 'after the crash', sessionVersion: 3, isStreaming: false });
      expect(textsOf(messages!)).toEqual([
        expect.stringMatching(/^user: word word/),
        'user: still here',
        'assistant: still here',
        'user: go on',
        'assistant: go on',
      ]);

      await second.server.kill('SIGKILL');
      const turn = ['agent_start', 'turn_start', 'message_end', 'message_end', 'turn_end', 'agent_end'];
      expect(eventsOf(await soundJournal(dataDir))).toEqual([
        ...['agent_start', 'turn_start', 'message_end', 'turn_end', 'agent_end'],
        'session_changed',
        ...turn,
        ...turn,
      ]);
    },
  );
});

describe('a scripted turn that is cut off by kill -9', () => {
  const turns = [
    [{ text: 'looking' }, { tool: { name: 'search', delayMs: 600_000 } }, { text: 'never said' }],
    [{ text: 'the second turn' }],
  ];

  it('closes the tool that ran, and the next prompt is the next turn', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const { server, client } = await restart(dataDir);
    const prompt = { type: 'prompt', id: 'cut', sessionId, message: 'look', respond: 'accepted' };
    const [, early] = await client.ask(
      { type: 'create_session', sessionId, engine: 'scripted', input: { turns } },
      prompt,
      { type: 'attach_session', sessionId },
    );
    expect(early).toMatchObject({ success: true, data: { accepted: true } });
    await event(client, 'tool_execution_start');
    await server.kill('SIGKILL');
    const before = eventsOf(await soundJournal(dataDir));
    expect(before.at(-1)).toBe('tool_execution_start');

    const second = await restart(dataDir);
    // The early answer was true, and the outcome is what became of it.
    expect(await second.client.answer(prompt)).toMatchObject({ errorCode: 'INTERRUPTED', replayed: true });
    expect(await second.client.answer({ type: 'prompt', sessionId, message: 'go on' })).toMatchObject({
      success: true,
    });
    expect(textsOf(await second.client.answer({ type: 'get_messages', sessionId }))).toEqual([
      'user: look',
      'assistant: looking',
      'assistant: toolCall',
      'user: go on',
      'assistant: the second turn',
    ]);
    await second.server.kill('SIGKILL');
    const events = eventsOf(await soundJournal(dataDir));
    expect(events.slice(before.length, before.length + 3)).toEqual(['tool_execution_end', 'turn_end', 'agent_end']);
  });

  it('is not run again, also when the turn itself took the process down', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const config = { allowCrash: true };
    const server = await startServer(dataDir, { config });
    const client = await Client.connect(server);
    const commands = [
      { type: 'prompt', id: 'crash', sessionId, message: 'go' },
      { type: 'prompt', id: 'next', sessionId, message: 'go on' },
    ];
    client.send(
      {
        type: 'create_session',
        sessionId,
        engine: 'scripted',
        input: { turns: [[{ crashProcess: true }], ...turns.slice(1)] },
      },
      ...commands,
    );
    expect(await server.exited).toEqual(KILLED);

    // A second crash would end this server as well.
    const second = await startServer(dataDir, { config });
    const answers = await (await Client.connect(second)).ask(...commands);
    expect(answers.map(({ errorCode, success }) => errorCode ?? success)).toEqual(['INTERRUPTED', true]);
  });
});
