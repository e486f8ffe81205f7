/**
 * pi behind the whole server: a real process, a WebSocket, kill -9, and the conversation that goes on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../integration/client.ts';
import { ServerProcess, startServer, temporaryFolder } from '../integration/server-process.ts';
import { conversation, startEndpoint, type Endpoint } from './openai-endpoint.ts';
import { makeHome, type PiHome } from './pi-home.ts';

let endpoint: Endpoint;
let home: PiHome;

beforeAll(async () => {
  endpoint = await startEndpoint();
  home = makeHome(endpoint.url);
});
afterAll(async () => {
  await endpoint.close();
  home.remove();
});

const piPath = process.env['TROUPE_PI_PATH'] ?? '';
const config = (engine: 'pi' | 'echo', modulePath = piPath) => ({
  config: { engine, pi: { modulePath, agentDir: home.agentDir } },
});

interface Message {
  readonly role: string;
  readonly content: readonly { readonly type: string; readonly text?: string }[];
}

/** A client with a session `s` that it watches. */
async function watching(server: ServerProcess): Promise<Client> {
  const client = await Client.connect(server);
  const create = { type: 'create_session', sessionId: 's', engine: 'pi', cwd: home.workDir };
  expect(await client.answer(create)).toMatchObject({ success: true });
  expect(await client.answer({ type: 'attach_session', sessionId: 's' })).toMatchObject({ success: true });
  return client;
}

/** A prompt whose answer has begun to stream. */
async function streaming(client: Client, id: string, message: string): Promise<void> {
  const from = client.frames.length;
  client.send({ type: 'prompt', id, sessionId: 's', message });
  await client.until((frame) => deltaOf(frame.event) !== undefined, from);
}

const deltaOf = (event?: { readonly [field: string]: unknown }): string | undefined =>
  (event?.['assistantMessageEvent'] as { delta?: string } | undefined)?.delta;

const prompt = (message: string): { type: string; sessionId: string; message: string } => ({
  type: 'prompt',
  sessionId: 's',
  message,
});

async function messages(client: Client): Promise<string[]> {
  const { data } = await client.answer({ type: 'get_messages', sessionId: 's' });
  return (data.messages as Message[]).map(({ role, content }) => {
    const text = content.map((part) => part.text ?? `<${part.type}>`).join('');
    return `${role} ${text}`.trim();
  });
}

const lastRequest = (): string[] => conversation(endpoint.requests.at(-1)!);

describe('pi behind the server', () => {
  it('streams a prompt’s answer and keeps the conversation', async () => {
    const client = await watching(await startServer(temporaryFolder(), config('pi')));
    expect(await client.answer(prompt('say hello big world'))).toMatchObject({ success: true, sessionVersion: 1 });
    const deltas = client.frames.map((frame) => deltaOf(frame.event)).filter((delta) => delta !== undefined);
    expect(deltas).toEqual(['hello', ' big', ' world']);
    expect(client.events('s').map(({ event }) => event?.type)).toEqual([
      'agent_start',
      'turn_start',
      'message_end',
      'message_end',
      'turn_end',
      'agent_end',
    ]);
    await client.answer(prompt('say again'));
    expect(lastRequest()).toEqual(['user say hello big world', 'assistant hello big world', 'user say again']);
    expect(await messages(client)).toEqual([...lastRequest(), 'assistant again']);
  });

  it('runs a tool in the session’s folder', async () => {
    const client = await watching(await startServer(temporaryFolder(), config('pi')));
    expect(await client.answer(prompt('tool read {"path":"hello.txt"}'))).toMatchObject({ success: true });
    const types = client.events('s').map(({ event }) => event?.type);
    expect(types.filter((type) => type?.startsWith('tool_'))).toEqual(['tool_execution_start', 'tool_execution_end']);
    expect(await messages(client)).toEqual([
      'user tool read {"path":"hello.txt"}',
      'assistant <toolCall>',
      'toolResult hello from a file',
      'assistant result: hello from a file',
    ]);
  });

  it('takes a steer and a follow-up into the running turn', async () => {
    const client = await watching(await startServer(temporaryFolder(), config('pi')));
    await streaming(client, 'p1', 'words 60');
    const [followed, steered] = await client.ask(
      { type: 'follow_up', sessionId: 's', message: 'say later' },
      { type: 'steer', sessionId: 's', message: 'say steered' },
    );
    expect([followed?.success, steered?.success]).toEqual([true, true]);
    expect(await client.response('p1')).toMatchObject({ success: true });
    const said = (await messages(client)).map((text) => text.replace(/w1 .*/, '...'));
    const rest = ['user say steered', 'assistant steered', 'user say later', 'assistant later'];
    expect(said).toEqual(['user words 60', 'assistant ...', ...rest]);
  });

  it('an abort ends the turn and its request, and the conversation goes on', async () => {
    const client = await watching(await startServer(temporaryFolder(), config('pi')));
    await client.answer(prompt('say one'));
    await streaming(client, 'p1', 'hang');
    expect(await client.answer({ type: 'abort', sessionId: 's' })).toMatchObject({ success: true });
    expect(await client.response('p1')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect(await client.answer(prompt('say two'))).toMatchObject({ success: true });
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user hang', 'user say two']);
    expect(endpoint.requests.at(-2)?.abandoned).toBe(true);
  });

  it('a provider that fails makes the prompt fail, a model that is unknown is the user’s', async () => {
    const client = await watching(await startServer(temporaryFolder(), config('pi')));
    expect(await client.answer(prompt('http 500'))).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    const input = { model: 'tiny' };
    await client.answer({ type: 'create_session', sessionId: 't', engine: 'pi', input, cwd: home.workDir });
    const refused = await client.answer({ ...prompt('say x'), sessionId: 't' });
    expect(refused).toMatchObject({
      success: false,
      error: expect.stringContaining('pi knows no model tiny') as string,
    });
  });

  it('is killed with -9 in a turn: the prompt ends INTERRUPTED and the conversation goes on', async () => {
    const dataDir = temporaryFolder();
    const server = await startServer(dataDir, config('pi'));
    const client = await watching(server);
    await client.answer(prompt('say one'));
    await streaming(client, 'p1', 'hang');
    expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });

    const again = await Client.connect(await startServer(dataDir, config('pi')));
    const recovery = await again.answer({ type: 'get_startup_recovery' });
    expect(recovery.data).toMatchObject({ recoveredInFlightFailures: 1 });
    const interrupted = { success: false, errorCode: 'INTERRUPTED', replayed: true };
    expect(await again.answer({ ...prompt('hang'), id: 'p1' })).toMatchObject(interrupted);
    expect((await messages(again)).slice(0, 3)).toEqual(['user say one', 'assistant one', 'user hang']);
    expect(await again.answer(prompt('say two'))).toMatchObject({ success: true });
    // pi's file ends with the interrupted turn; its memory goes on from the handle of the last finished one.
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user say two']);
  });

  it('is loaded again by a session that is older than the process', async () => {
    const dataDir = temporaryFolder();
    const server = await startServer(dataDir, config('echo'));
    const client = await watching(server);
    await client.answer(prompt('say one'));
    await server.kill('SIGTERM');
    const again = await Client.connect(await startServer(dataDir, config('echo')));
    expect(await again.answer(prompt('say two'))).toMatchObject({ success: true });
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user say two']);
  });
});

describe('pi that is not installed', () => {
  it('keeps the server from starting with it, in one line that says how to install it', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'troupe-no-pi-'));
    const server = new ServerProcess(temporaryFolder(), config('pi', empty));
    expect((await server.exited).code).not.toBe(0);
    expect(server.stderr.trim().split('\n')).toHaveLength(1);
    expect(server.stderr).toContain('npm install @earendil-works/pi-coding-agent@0.87.1');
    rmSync(empty, { recursive: true });
  });

  it('refuses a session that asks for it, and the server goes on', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'troupe-no-pi-'));
    const client = await Client.connect(await startServer(temporaryFolder(), config('echo', empty)));
    const refused = await client.answer({ type: 'create_session', sessionId: 's', engine: 'pi' });
    expect(refused).toMatchObject({ success: false, errorCode: 'ENGINE_UNAVAILABLE' });
    expect(refused.error).toContain('npm install @earendil-works/pi-coding-agent@0.87.1');
    expect(await client.answer({ type: 'create_session', sessionId: 's' })).toMatchObject({ success: true });
    rmSync(empty, { recursive: true });
  });
});
