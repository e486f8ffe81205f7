/**
 * What the suite for all engines does not ask: pi's own races, tools, failures and its memory, against a local endpoint.
 */
import { existsSync, readFileSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import { createPiEngine } from '../../src/engines/pi.ts';
import { grammarOffence } from '../../src/testing/event-grammar.ts';
import {
  answerOf,
  runTurn,
  until,
  userTexts,
  type TurnSetting,
  type TurnUnderTest,
} from '../../src/testing/turn-under-test.ts';
import { conversation, startEndpoint, type Endpoint } from './openai-endpoint.ts';
import { makeHome, type PiHome } from './pi-home.ts';

let endpoint: Endpoint;
let home: PiHome;
let engine: ReturnType<typeof createPiEngine>;

beforeAll(async () => {
  endpoint = await startEndpoint();
  home = makeHome(endpoint.url);
  engine = createPiEngine({ dataDir: home.dataDir, agentDir: home.agentDir });
  await engine.prepare();
});
afterAll(async () => {
  await engine.close();
  await endpoint.close();
  home.remove();
});

function say(message: string, setting: TurnSetting = {}): TurnUnderTest {
  return runTurn(engine, { input: { message }, cwd: home.workDir, ...setting });
}

/** A finished turn, and the handle to go on from. */
async function said(message: string, setting: TurnSetting = {}): Promise<Json> {
  const result = await say(message, setting).finish();
  expect(result).toMatchObject({ status: 'completed' });
  return result.resume ?? null;
}

const lastRequest = (): string[] => conversation(endpoint.requests.at(-1)!);

describe('failures of a pi turn', () => {
  it.each([
    ['http 500', 'provider'],
    ['http 429', 'provider'],
    ['cut', 'provider'],
    ['http 401', 'user'],
    ['http 404', 'user'],
  ])('%s is the fault of the %s, and the conversation goes on', async (message, kind) => {
    const turn = say(message);
    const result = await turn.finish();
    expect(result).toMatchObject({ status: 'failed', kind });
    expect(grammarOffence(turn.events)).toBeUndefined();
    expect(turn.events.at(-1)?.type).toBe('agent_end');
    await said('say again', { resume: result.resume ?? null });
    expect(lastRequest()).toEqual([`user ${message}`, 'user say again']);
  });

  it('a model that pi does not know is the user’s, before any request', async () => {
    const before = endpoint.requests.length;
    const result = await say('say x', { sessionInput: { provider: 'local', model: 'tiny' } }).finish();
    expect(result).toMatchObject({ status: 'failed', kind: 'user', message: 'pi knows no model local/tiny' });
    expect(endpoint.requests.length).toBe(before);
  });

  it('a working directory that is gone is the user’s', async () => {
    const cwd = join(home.workDir, 'gone');
    const message = `The session’s working directory is missing: ${cwd}`;
    expect(await say('say x', { cwd }).finish()).toEqual({ status: 'failed', kind: 'user', message });
  });

  it('a provider without a key is said with its remedy', async () => {
    const bare = makeHome(endpoint.url);
    rmSync(join(bare.agentDir, 'models.json'));
    const keyless = createPiEngine({ dataDir: bare.dataDir, agentDir: bare.agentDir });
    await keyless.prepare();
    const sessionInput = { provider: 'mistral', model: 'mistral-large-latest' };
    const result = await runTurn(keyless, { input: { message: 'say x' }, cwd: bare.workDir, sessionInput }).finish();
    expect(result).toMatchObject({ status: 'failed', kind: 'user', errorCode: 'ENGINE_UNAVAILABLE' });
    expect(result).toHaveProperty('message', expect.stringMatching(/^No API key.*\(log in with pi/));
    bare.remove();
  });

  it('a memory that is gone is said, not replaced by a new conversation', async () => {
    const gone = await say('say x', { resume: { sessionFile: 'gone.jsonl', leafId: 'a' } }).finish();
    expect(gone).toMatchObject({ status: 'failed', message: expect.stringContaining('gone.jsonl') as string });
    const resume = (await said('say one')) as { sessionFile: string };
    const lost = await say('say x', { resume: { ...resume, leafId: 'ffffffff' } }).finish();
    expect(lost).toMatchObject({ status: 'failed', message: expect.stringContaining('ffffffff') as string });
  });

  it('a handle names no file outside of pi’s folder', async () => {
    const result = await say('say x', { resume: { sessionFile: '../../../etc/passwd', leafId: 'a' } }).finish();
    const file = join(home.dataDir, 'pi', 'sessions', 'passwd');
    expect(result).toMatchObject({ status: 'failed', message: `pi’s memory of this session is missing: ${file}` });
  });
});

describe('a pi turn', () => {
  it('shows a tool’s call, execution and result', async () => {
    const turn = say('tool read {"path":"hello.txt"}');
    expect(await turn.finish()).toMatchObject({ status: 'completed' });
    expect(grammarOffence(turn.events)).toBeUndefined();
    const tools = turn.events.filter((event) => event.type.startsWith('tool_execution'));
    expect(tools.map((event) => [event.type, event['toolName']])).toEqual([
      ['tool_execution_start', 'read'],
      ['tool_execution_end', 'read'],
    ]);
    expect(JSON.stringify(tools.at(-1)?.['result'])).toContain('hello from a file');
    expect(answerOf(turn.events)).toBe('result: hello from a file');
    const messages = turn.events.at(-1)?.['messages'] as { role: string }[];
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'assistant']);
  });

  it('runs the tools that the session allows, and no other', async () => {
    const turn = say('tool read {"path":"hello.txt"}', { sessionInput: { tools: ['ls'] } });
    await turn.finish();
    expect(turn.events.find((event) => event.type === 'tool_execution_end')).toMatchObject({ isError: true });
  });

  it('shows nothing of pi’s instructions', async () => {
    const turn = say('say one');
    await turn.finish();
    expect(JSON.stringify(turn.events)).not.toContain(home.workDir);
    expect(turn.events.filter((event) => event.type === 'message_start')).toHaveLength(2);
  });

  it('keeps what the model was shown in files below the data directory alone', async () => {
    await said('say one');
    expect(readdirSync(home.dataDir)).toEqual(['pi']);
    expect(readdirSync(join(home.dataDir, 'pi'))).toEqual(['sessions']);
  });
});

describe('an abort of pi', () => {
  it('before its run began makes no request', async () => {
    const before = endpoint.requests.length;
    const turn = say('words 100');
    turn.abort();
    await turn.settled();
    expect(endpoint.requests.length).toBe(before);
    expect(turn.events).toEqual([]);
  });

  it('at its first event makes no request either', async () => {
    const before = endpoint.requests.length;
    const turn = say('words 100');
    await until(turn.clock, () => turn.events.length > 0);
    turn.abort();
    await turn.settled();
    expect(endpoint.requests.length).toBe(before);
  });

  it('while pi begins is not forgotten', async () => {
    const before = endpoint.requests.length;
    const controller = new AbortController();
    // Read at the very moment when pi is prompted: pi itself would run the turn in full.
    const input = {
      get message() {
        controller.abort();
        return 'words 50';
      },
    };
    await say('', { input, controller }).settled();
    expect(endpoint.requests.length).toBe(before);
  });

  it('ends the request, and the next turn knows what was asked', async () => {
    const resume = await said('say one');
    const turn = say('hang', { resume });
    await until(turn.clock, () => turn.deltas() !== '');
    const request = endpoint.requests.at(-1)!;
    turn.abort();
    const result = await turn.settled();
    await until(turn.clock, () => request.abandoned);
    await said('say two', { resume: result.resume ?? null });
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user hang', 'user say two']);
  });

  it('in a tool kills what the tool started', async () => {
    const pidFile = join(home.workDir, 'pid');
    const turn = say('tool bash {"command":"echo $$ > draft && mv draft pid && sleep 600"}');
    await until(turn.clock, () => existsSync(pidFile));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(isRunning(pid)).toBe(true);
    turn.abort();
    expect(await turn.settled()).toMatchObject({ status: 'completed' });
    await until(turn.clock, () => !isRunning(pid));
  });

  it('drops what was queued: it does not come up in the next turn', async () => {
    const turn = say('hang');
    await until(turn.clock, () => turn.deltas() !== '');
    turn.handle.steer({ message: 'say steered' });
    turn.handle.followUp({ message: 'say later' });
    turn.abort();
    const { resume = null } = await turn.settled();
    await said('say next', { resume });
    expect(lastRequest()).toEqual(['user hang', 'user say next']);
  });
});

describe('the memory of pi', () => {
  it('begins where the handle says, whatever was written after it', async () => {
    const one = await said('say one');
    const two = await said('say two', { resume: one });
    await said('say lost', { resume: one });
    await said('say three', { resume: two });
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user say two', 'assistant two', 'user say three']);
  });

  it('survives a torn last line', async () => {
    const one = (await said('say one')) as { sessionFile: string };
    await said('say two', { resume: one });
    const file = join(home.dataDir, 'pi', 'sessions', one.sessionFile);
    truncateSync(file, readFileSync(file).length - 10);
    await said('say three', { resume: one });
    expect(lastRequest()).toEqual(['user say one', 'assistant one', 'user say three']);
  });
});

describe('a message for a running pi turn', () => {
  /** Microtasks after an event: enough to pass the end of the prompt. */
  const HOPS_MAX = 40;

  it.each(['agent_start', 'message_update', 'message_end', 'turn_end', 'agent_end'])(
    'is delivered or refused, never lost, at any moment after %s',
    async (moment) => {
      const resume = await said('say one');
      const wrong: { hops: number; taken: boolean | undefined; shown: number }[] = [];
      for (let hops = 0; hops < HOPS_MAX; hops += 1) {
        const { events, taken } = await steeredAt(moment, hops, resume);
        const shown = userTexts(events).filter((text) => text === 'say steered').length;
        if (shown !== (taken === true ? 1 : 0)) wrong.push({ hops, taken, shown });
        expect(grammarOffence(events)).toBeUndefined();
      }
      expect(wrong).toEqual([]);
    },
  );

  /** Steers some microtasks after the first event of that type. */
  async function steeredAt(moment: string, hops: number, resume: Json): Promise<TurnUnderTest & { taken?: boolean }> {
    let taken: boolean | undefined;
    let asked = false;
    const steer = async (): Promise<void> => {
      for (let hop = 0; hop < hops; hop += 1) await Promise.resolve();
      taken = turn.handle.steer({ message: 'say steered' });
    };
    const onEvent = (event: SessionEvent): void => {
      if (event.type !== moment || asked) return;
      asked = true;
      void steer();
    };
    const turn = say('say two', { resume, onEvent });
    await turn.finish();
    return { ...turn, ...(taken === undefined ? {} : { taken }) };
  }
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
