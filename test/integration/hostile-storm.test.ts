/** Tens of thousands of mutated frames on a real server with its journal: each gets its one coded answer, and all is well after. */
import { expect, it } from 'vitest';
import { WebSocket, type RawData } from 'ws';
import { isErrorCode } from '../../src/protocol/errors.ts';
import { Client, type Frame } from './client.ts';
import { difference, HostileFrameSource, NO_ID } from './hostile-frame-source.ts';
import { Random } from './random.ts';
import { startServer, temporaryFolder } from './server-process.ts';

const CONNECTIONS = 4;
const FRAMES = 5_500;
/** Frames of one connection without an answer. */
const OUTSTANDING_MAX = 60;
const ANSWERS_AWAITED_MS_MAX = 200_000;

const count = (counts: Map<string, number>, key: string): unknown => counts.set(key, (counts.get(key) ?? 0) + 1);

/** One connection that sends what its source draws, and counts what comes back. */
async function storm(
  url: string,
  source: HostileFrameSource,
): Promise<{ problems: string[]; codes: Map<string, number> }> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const [sent, answered, codes] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  const problems: string[] = [];
  let frames = 0;
  let answers = 0;
  await new Promise<void>((resolve) => {
    const pump = (): void => {
      for (; frames < FRAMES && frames - answers < OUTSTANDING_MAX; frames += 1) {
        const { data, id } = source.next();
        count(sent, id);
        socket.send(data);
      }
      if (answers >= FRAMES) resolve();
    };
    // Then the difference says which answers are missing.
    setTimeout(resolve, ANSWERS_AWAITED_MS_MAX).unref();
    socket.on('open', pump);
    socket.on('close', (code) => {
      problems.push(`the connection was closed with ${code} after ${frames} frames`);
      resolve();
    });
    socket.on('message', (data: RawData) => {
      const frame = JSON.parse((data as Buffer).toString()) as Frame;
      if (frame.type !== 'response') return;
      answers += 1;
      count(answered, 'id' in frame ? JSON.stringify(frame.id) : NO_ID);
      const code = frame.success === true ? 'success' : String(frame.errorCode);
      count(codes, code);
      if (code !== 'success' && !isErrorCode(code)) problems.push(`the code ${code} is none`);
      pump();
    });
  });
  // An answer too many would come before this one.
  socket.removeAllListeners('close');
  await new Promise((resolve) => {
    socket.once('pong', resolve);
    socket.ping();
  });
  socket.terminate();
  return { problems: [...problems, ...difference(sent, answered)], codes };
}

it(
  'each of 22,000 hostile frames gets one coded answer, and the journal is in order',
  { timeout: 300_000 },
  async () => {
    const seed = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 1_000_000);
    const again = `the same again: HOSTILE_SEED=${seed}`;
    console.log(`hostile storm with seed ${seed} (${again})`);
    const dataDir = temporaryFolder();
    // What is left running by chance is over soon.
    const timeouts = { shortMs: 10_000, longMs: 20_000, dependencyMs: 5_000 };
    const server = await startServer(dataDir, { config: { timeouts } });
    const first = await Client.connect(server);
    const known = first.frames[0]!.data.capabilities as { commands: string[] };
    first.socket.terminate();
    // These read the journal from one end to the other: hundreds of them beside each other test patience alone.
    const commands = known.commands.filter((type) => !['verify_journal', 'get_command_history'].includes(type));
    const url = await server.url();
    const random = new Random(seed);
    const sources = Array.from(
      { length: CONNECTIONS },
      (_, index) => new HostileFrameSource(random, commands, `h${index}`),
    );
    const results = await Promise.all(sources.map((source) => storm(url, source)));

    expect(
      results.flatMap(({ problems }) => problems),
      again,
    ).toEqual([]);
    const codes = new Map<string, number>();
    for (const result of results)
      for (const [code, times] of result.codes) codes.set(code, (codes.get(code) ?? 0) + times);
    expect(codes.has('INTERNAL_ERROR'), again).toBe(false);
    // The storm was one: it got through every gate, and was refused at each.
    const met = ['success', 'INVALID_JSON', 'INVALID_FRAME', 'VALIDATION_FAILED', 'UNKNOWN_COMMAND', 'ID_CONFLICT'];
    expect([...codes.keys()], again).toEqual(expect.arrayContaining(met));

    const client = await Client.connect(server);
    const verified = await client.answer({ type: 'verify_journal' });
    expect(verified.data, again).toMatchObject({ ok: true, problems: [] });
    const [created, prompted] = await client.ask(
      { type: 'create_session', sessionId: 'after' },
      { type: 'prompt', sessionId: 'after', message: 'still there?' },
    );
    expect([created!.success, prompted!.success], again).toEqual([true, true]);
    expect(
      server.log.filter(({ level }) => level > 30),
      again,
    ).toEqual([]);
    expect(await server.kill('SIGTERM'), again).toEqual({ code: 0, signal: null });
    expect(server.stderr, again).toBe('');
    const restarted = await startServer(dataDir);
    const state = await (await Client.connect(restarted)).answer({ type: 'get_state', sessionId: 'after' });
    expect(state, again).toMatchObject({ success: true, sessionVersion: 1 });
  },
);
