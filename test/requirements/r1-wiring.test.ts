/**
 * R1: the wiring is exercised. The real composition root is booted with a real port, real streams and SQLite, the journal
 * fails below everything that is wrapped around it, and the failure is seen at every entry point: WebSocket and stdio, whoever
 * caused it, a client, an engine or a timer. When the store is well again, every entry point sees that as well.
 *
 * There are no circuit breakers in this version: what has to change is `healthy` and `issues` of `health_check`,
 * `journal.writable` of `get_metrics`, and JOURNAL_UNAVAILABLE for what would have to be recorded. HTTP has no commands yet.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { createInterface } from 'node:readline';
import { onTestFinished, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import { checkConfig } from '../../src/config.ts';
import type { Config } from '../../src/config.ts';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { createServer } from '../../src/server.ts';
import type { Server } from '../../src/server.ts';
import { createFaultyEngine, createFaultyJournal } from './faulty-ports.ts';
import type { FaultyJournal } from './faulty-ports.ts';

const FAULT = new Error('planted fault');
const TURN_TIMEOUT_MS = 400;
const PATIENCE = { timeout: 15_000, interval: 20 };

type Frame = Readonly<Record<string, unknown>>;
type Command = { readonly type: string; readonly [field: string]: unknown };

/** A client, whatever carries its frames. */
class EntryPoint {
  readonly name: string;
  readonly frames: Frame[] = [];
  readonly #write: (text: string) => void;
  #asked = 0;

  constructor(name: string, write: (text: string) => void) {
    this.name = name;
    this.#write = write;
  }

  receive(text: string): void {
    this.frames.push(JSON.parse(text) as Frame);
  }

  /** Sends a command; the id under which its answer will come. */
  send(command: Command): string {
    const id = `${this.name}-${(this.#asked += 1)}`;
    this.#write(JSON.stringify({ id, ...command }));
    return 'id' in command ? String(command['id']) : id;
  }

  response(id: string): Frame | undefined {
    return this.frames.findLast((frame) => frame['type'] === 'response' && frame['id'] === id);
  }

  async ask(command: Command): Promise<Frame> {
    const id = this.send(command);
    return vi.waitFor(() => {
      const found = this.response(id);
      if (found === undefined) throw new Error(`${this.name}: '${command.type}' was not answered`);
      return found;
    }, PATIENCE);
  }
}

interface Place {
  readonly server: Server;
  readonly dataDir: string;
  readonly journal: FaultyJournal;
  readonly webSocket: EntryPoint;
  readonly stdio: EntryPoint;
  readonly fatal: readonly Error[];
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-r1-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'data');
}

function configured(dataDir: string): Config {
  const timeouts = { longMs: TURN_TIMEOUT_MS, drainMs: 200 };
  const checked = checkConfig({ port: 0, stdio: true, dataDir, timeouts });
  if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
  return checked.config;
}

/** Streams in the place of this process's own. */
function streams() {
  return { stdio: { input: new PassThrough(), output: new PassThrough() }, onStdioEnd: () => undefined };
}

async function boot(dataDir = temporaryFolder()): Promise<Place> {
  const journal = createFaultyJournal(createSqliteJournal({ dataDir }));
  const fatal: Error[] = [];
  const own = streams();
  const { input, output } = own.stdio;
  const server = createServer(configured(dataDir), { journal, ...own, onFatal: (error) => void fatal.push(error) });
  onTestFinished(async () => {
    journal.mend();
    await server.stop();
  });
  const { listening } = await server.start();

  const stdio = new EntryPoint('stdio', (text) => void input.write(`${text}\n`));
  createInterface({ input: output }).on('line', (line) => stdio.receive(line));
  const socket = new WebSocket(listening!.url.replace(/^http/, 'ws'));
  const webSocket = new EntryPoint('webSocket', (text) => socket.send(text));
  socket.on('message', (data: RawData) => webSocket.receive((data as Buffer).toString()));
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  for (const entry of [webSocket, stdio]) expect(await entry.ask({ type: 'ping' })).toMatchObject({ success: true });
  // Of a second server on the same data it is there already.
  await webSocket.ask({ type: 'create_session', sessionId: 's' });
  return { server, dataDir, journal, webSocket, stdio, fatal };
}

const HANGING = { engine: 'scripted', input: { turns: [[{ text: 'one' }, { hang: true }]] } };
const SPEAKING = { engine: 'scripted', input: { turns: [[{ delayMs: 100 }, { text: 'one' }, { hang: true }]] } };

/** What makes the journal fail: each writes, and a client asks for the write of the first two alone. */
const CAUSES: readonly (readonly [string, (place: Place) => Promise<void>])[] = [
  [
    'a client on the WebSocket',
    async ({ journal, webSocket }) => {
      journal.fail('append', FAULT);
      const rename = { type: 'set_session_name', sessionId: 's', name: 'lost' };
      expect(await webSocket.ask(rename)).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    },
  ],
  [
    'a client on stdio',
    async ({ journal, stdio }) => {
      journal.fail('append', FAULT);
      const rename = { type: 'set_session_name', sessionId: 's', name: 'lost' };
      expect(await stdio.ask(rename)).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    },
  ],
  [
    'an engine that speaks',
    async ({ journal, webSocket }) => {
      await webSocket.ask({ type: 'create_session', sessionId: 'turn', ...SPEAKING });
      await webSocket.ask({ type: 'prompt', id: 'turn', sessionId: 'turn', message: 'go', respond: 'accepted' });
      journal.fail('append', FAULT);
    },
  ],
  [
    'a timer, the deadline of a turn',
    async ({ journal, webSocket }) => {
      await webSocket.ask({ type: 'create_session', sessionId: 'turn', ...HANGING });
      await webSocket.ask({ type: 'attach_session', sessionId: 'turn' });
      await webSocket.ask({ type: 'prompt', id: 'turn', sessionId: 'turn', message: 'go', respond: 'accepted' });
      // All that the engine says is stored: from here on the deadline alone has something to record.
      await vi.waitFor(() => {
        const said = webSocket.frames.filter((frame) => frame['type'] === 'event' && frame['ephemeral'] !== true);
        expect(said.map(({ event }) => (event as Frame)['type']).slice(-1)).toEqual(['message_end']);
        expect(said.filter(({ event }) => (event as Frame)['type'] === 'message_end').length).toBe(2);
      }, PATIENCE);
      journal.fail('append', FAULT);
    },
  ],
];

async function expectFailureSeen(entry: EntryPoint): Promise<void> {
  await vi.waitFor(async () => {
    expect(await entry.ask({ type: 'health_check' }), entry.name).toMatchObject({
      data: { healthy: false, issues: [expect.stringContaining(FAULT.message)] },
    });
  }, PATIENCE);
  const metrics = await entry.ask({ type: 'get_metrics' });
  expect((metrics['data'] as { journal: Frame }).journal['writable'], entry.name).toBe(false);
  for (const command of [
    { type: 'set_session_name', sessionId: 's', name: 'refused' },
    { type: 'prompt', sessionId: 's', message: 'refused' },
    { type: 'create_session', sessionId: `of ${entry.name}`.replace(' ', '-') },
    { type: 'delete_session', sessionId: 's' },
  ]) {
    const answer = await entry.ask(command);
    expect(answer, `${entry.name}: ${command.type}`).toMatchObject({
      success: false,
      errorCode: 'JOURNAL_UNAVAILABLE',
    });
  }
  expect(await entry.ask({ type: 'get_state', sessionId: 's' })).toMatchObject({ success: true, stale: true });
}

async function expectRecoverySeen(entry: EntryPoint): Promise<void> {
  await vi.waitFor(async () => {
    expect(await entry.ask({ type: 'health_check' }), entry.name).toMatchObject({
      data: { healthy: true, issues: [] },
    });
  }, PATIENCE);
  const metrics = await entry.ask({ type: 'get_metrics' });
  expect((metrics['data'] as { journal: Frame }).journal['writable'], entry.name).toBe(true);
  const rename = await entry.ask({ type: 'set_session_name', sessionId: 's', name: `by ${entry.name}` });
  expect(rename, entry.name).toMatchObject({ success: true });
  const state = await entry.ask({ type: 'get_state', sessionId: 's' });
  expect(state).toMatchObject({ data: { sessionName: `by ${entry.name}` } });
  expect(state).not.toHaveProperty('stale');
}

describe('R1: a failure of the store below the composition root', { timeout: 60_000 }, () => {
  it.each(CAUSES)('R1: is seen at every entry point when %s meets it, and so is its end', async (_cause, meet) => {
    const place = await boot();
    const { journal, webSocket, stdio } = place;
    await meet(place);
    for (const entry of [webSocket, stdio]) await expectFailureSeen(entry);
    // Nobody was told an outcome that is not stored.
    const told = [...webSocket.frames, ...stdio.frames].flatMap((frame) => [frame, frame['data'] as Frame | undefined]);
    expect(told.filter((each) => each?.['errorCode'] === 'COMMAND_TIMEOUT')).toEqual([]);
    journal.mend();
    for (const entry of [webSocket, stdio]) await expectRecoverySeen(entry);
    expect(await stdio.ask({ type: 'verify_journal' })).toMatchObject({ data: { ok: true, problems: [] } });
    expect(place.fatal).toEqual([]);
  });
});

describe('R1: a stop while the store fails', { timeout: 60_000 }, () => {
  it('R1: leaves a data directory that the next server takes as it is', async () => {
    const { journal, webSocket, server, dataDir } = await boot();
    journal.fail('append', FAULT);
    await webSocket.ask({ type: 'set_session_name', sessionId: 's', name: 'lost' });
    await server.stop();
    const next = await boot(dataDir);
    const { data } = await next.stdio.ask({ type: 'get_state', sessionId: 's' });
    expect(data).toMatchObject({ sessionId: 's', sessionVersion: 0 });
    expect(data).not.toHaveProperty('sessionName');
    expect(await next.stdio.ask({ type: 'verify_journal' })).toMatchObject({ data: { ok: true, problems: [] } });
  });

  it('R1: lets go of the data directory also when an engine cannot be closed', async () => {
    const dataDir = temporaryFolder();
    const engine = createFaultyEngine(createEchoEngine());
    const first = createServer(configured(dataDir), { engines: [engine], ...streams() });
    await first.start();
    engine.fail('close', FAULT);
    await expect(first.stop()).rejects.toThrow(FAULT.message);
    const second = createServer(configured(dataDir), streams());
    await second.start();
    await second.stop();
  });
});
