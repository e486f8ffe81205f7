/**
 * A real server in this process, over SQLite and real sockets, under a load that does not stop: drivers that send durable
 * commands one after the other, each on a session of its own, a turn that runs, and a viewer of all of it.
 */
import { once } from 'node:events';
import { Server as NetServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, vi } from 'vitest';
import type { Engine, Observation } from '../../actors/ports.ts';
import { checkConfig } from '../../src/config.ts';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { createServer } from '../../src/server.ts';
import { createBus } from '../../src/telemetry/bus.ts';
import { Client, type CommandFrame, type Frame } from './client.ts';
import { soundJournal } from './journal-audit.ts';
import { temporaryFolder } from './server-process.ts';

const DRIVERS = 3;
const AT_ONCE = 5;
const PATIENCE = { timeout: 60_000, interval: 5 };

/** What a turn of about a second says. */
const LONG_TURN = [[{ text: 'so it begins' }, { tool: { name: 'wait', delayMs: 1_000 } }, { text: 'done' }]];

/** Everything that was sent under an id, how often, and what came back. */
class Ledger {
  readonly #sent = new Map<string, { readonly frame: CommandFrame; count: number; readonly answers: Frame[] }>();
  readonly surplus: Frame[] = [];

  send(client: Client, frame: CommandFrame & { readonly id: string }): void {
    const entry = this.#sent.get(frame.id) ?? { frame, count: 0, answers: [] };
    entry.count += 1;
    this.#sent.set(frame.id, entry);
    client.send(frame);
  }

  hear(frame: Frame): void {
    if (frame.type !== 'response') return;
    const entry = this.#sent.get(String(frame.id));
    if (entry === undefined || entry.answers.length >= entry.count) this.surplus.push(frame);
    else entry.answers.push(frame);
  }

  get all() {
    return [...this.#sent.values()];
  }

  get unanswered(): string[] {
    return this.all.filter(({ count, answers }) => answers.length < count).map(({ frame }) => String(frame.id));
  }
}

export class LiveServer {
  readonly dataDir = temporaryFolder();
  readonly observations: Observation[] = [];
  readonly fatal: Error[] = [];
  readonly ledger = new Ledger();
  readonly clients: Client[] = [];
  readonly closed: Client[] = [];
  readonly #stop: () => Promise<void>;
  readonly #start: () => Promise<string>;
  #url = '';
  #driving = false;
  #counted = 0;
  listener: NetServer | undefined;
  journalThread: Worker | undefined;
  viewer!: Client;

  static async start(engines: readonly Engine[] = []): Promise<LiveServer> {
    const live = new LiveServer(engines);
    await live.#begin();
    return live;
  }

  private constructor(engines: readonly Engine[]) {
    const checked = checkConfig({ port: 0, dataDir: this.dataDir, timeouts: { drainMs: 2_000 } });
    if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
    const telemetry = createBus();
    telemetry.subscribe('info', (observation) => void this.observations.push(observation));
    const server = createServer(checked.config, {
      telemetry,
      engines: [createEchoEngine(), createScriptedEngine(), ...engines],
      onFatal: (error) => void this.fatal.push(error),
    });
    this.#start = async () => {
      const { listening } = await server.start();
      return listening!.url.replace(/^http/, 'ws');
    };
    this.#stop = () => server.stop();
    onTestFinished(() => server.stop().catch(() => undefined));
  }

  async connect(): Promise<Client> {
    const client = new Client(this.#url);
    await client.until(({ type }) => type === 'startup_recovery_summary');
    void client.closed.then(() => this.closed.push(client));
    this.clients.push(client);
    return client;
  }

  async #begin(): Promise<void> {
    const listen = vi.spyOn(NetServer.prototype, 'listen');
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    this.#url = await this.#start();
    this.listener = listen.mock.contexts[0] as NetServer;
    this.journalThread = post.mock.contexts[0] as Worker;
    listen.mockRestore();
    post.mockRestore();
    this.viewer = await this.connect();
    // Who fell behind attaches again.
    this.viewer.onFrame = ({ type, data }) => {
      if (type !== 'session_lagging') return;
      this.viewer.send({ type: 'attach_session', sessionId: data.sessionId as string, deltas: 'none' });
    };
    for (let number = 0; number < DRIVERS; number += 1) await this.create(`driven ${number}`);
    await this.create('long', { engine: 'scripted', input: { turns: LONG_TURN } });
  }

  /** A session that the viewer sees. */
  async create(sessionId: string, fields: object = {}): Promise<void> {
    const id = sessionId.replaceAll(' ', '-');
    const [created, attached] = await this.viewer.ask(
      { type: 'create_session', sessionId: id, ...fields },
      { type: 'attach_session', sessionId: id, deltas: 'none' },
    );
    expect([created!.success, attached!.success]).toEqual([true, true]);
  }

  /** Starts the drivers and the turn, and waits until all of them are at work. */
  async drive(): Promise<void> {
    this.#driving = true;
    for (let number = 0; number < DRIVERS; number += 1) this.#driver(await this.connect(), `driven-${number}`);
    const prompter = await this.connect();
    prompter.onFrame = (frame) => this.ledger.hear(frame);
    this.ledger.send(prompter, { type: 'prompt', id: 'long turn', sessionId: 'long', message: 'go' });
    await prompter.until(({ type, data }) => type === 'command_started' && data.commandId === 'long turn');
    await this.moreAnswers(100);
  }

  #driver(client: Client, sessionId: string): void {
    const send = (): void => {
      if (!this.#driving) return;
      const number = (this.#counted += 1);
      const id = `load ${number}`;
      if (number % 20 === 0) this.ledger.send(client, { type: 'prompt', id, sessionId, message: 'a few words' });
      else this.ledger.send(client, { type: 'set_session_name', id, sessionId, name: `name ${number}` });
    };
    client.onFrame = (frame) => {
      this.ledger.hear(frame);
      if (frame.type !== 'response') return;
      if (frame.success === true) send();
      else setTimeout(send, 10);
    };
    for (let count = 0; count < AT_ONCE; count += 1) send();
  }

  async moreAnswers(count: number): Promise<void> {
    const successes = (): number =>
      this.ledger.all.filter(({ answers }) => answers.some(({ success }) => success === true)).length;
    const enough = successes() + count;
    await vi.waitFor(() => expect(successes()).toBeGreaterThanOrEqual(enough), PATIENCE);
  }

  /** Strikes, and asks for a durable change of the session on a connection that was there until one is made. */
  async downtime(sessionId: string, strike: () => unknown): Promise<number> {
    const client = this.clients.at(-1)!;
    const since = performance.now();
    await strike();
    for (let tries = 1; ; tries += 1) {
      const id = `probe ${(this.#counted += 1)}`;
      const from = client.frames.length;
      this.ledger.send(client, { type: 'set_session_name', id, sessionId, name: `try ${tries}` });
      const { success } = await client.response(id, from);
      if (success === true) return performance.now() - since;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Stops the load; then everything that was sent has exactly one answer, and what was left open is asked for again. */
  async rest(): Promise<void> {
    await this.moreAnswers(50);
    this.#driving = false;
    await vi.waitFor(() => expect(this.ledger.unanswered).toEqual([]), PATIENCE);
    expect(this.ledger.surplus).toEqual([]);
    const client = this.clients.at(-1)!;
    const open = this.ledger.all.filter(({ answers }) => answers.at(-1)!.errorCode === 'JOURNAL_UNAVAILABLE');
    for (const { frame } of open) {
      const id = String(frame.id);
      const from = client.frames.length;
      this.ledger.send(client, { ...frame, id });
      await client.response(id, from);
    }
    await vi.waitFor(() => expect(this.ledger.unanswered).toEqual([]), PATIENCE);
    expect(this.ledger.surplus).toEqual([]);
  }

  /** What the clients saw, by code; the newest answer of each command. */
  get codes(): Record<string, number> {
    const codes: Record<string, number> = {};
    for (const { answers } of this.ledger.all) {
      for (const { success, errorCode } of answers) {
        const code = success === true ? 'success' : errorCode!;
        codes[code] = (codes[code] ?? 0) + 1;
      }
    }
    return codes;
  }

  /** The durable events of each session, as the viewer saw them: in order, and it was told of each that it missed. */
  expectNoGaps(): void {
    const shown = new Map<string, number>();
    const problems: unknown[] = [];
    for (const frame of this.viewer.frames) {
      const { type, data } = frame;
      if (type === 'session_lagging') {
        if (data.seq !== shown.get(data.sessionId as string))
          problems.push({ frame, shown: shown.get(data.sessionId as string) });
        shown.delete(data.sessionId as string);
      } else if (type === 'session_synced') {
        shown.set(data.sessionId as string, data.seq as number);
      } else if (type === 'event' && frame.ephemeral !== true) {
        const before = shown.get(frame.sessionId!);
        if (before === undefined || frame.seq !== before + 1) problems.push({ frame, before });
        shown.set(frame.sessionId!, frame.seq!);
      }
    }
    expect(problems).toEqual([]);
  }

  get laggings(): number {
    return this.viewer.frames.filter(({ type }) => type === 'session_lagging').length;
  }

  /** Everybody is still there, the journal verifies, and what clients were answered is what is stored. Stops the server. */
  async expectSound(): Promise<string> {
    expect(this.fatal).toEqual([]);
    expect(this.closed).toEqual([]);
    await this.expectHealthy();
    this.expectNoGaps();
    await this.#stop();
    const left = await soundJournal(this.dataDir);
    expect([left.started, left.waitingControl, left.waitingWork]).toEqual([[], [], []]);
    const told = this.ledger.all.map(({ frame, answers }) => [frame.id, asTold(answers.at(-1))]);
    const stored = this.ledger.all.map(({ frame }) => [frame.id, asTold(left.outcomes.get(String(frame.id)))]);
    expect(told).toEqual(stored);
    const events = this.viewer.frames.filter(({ type, ephemeral }) => type === 'event' && ephemeral !== true);
    expect(events.filter(({ epoch, seq, event }) => left.events.get(`${epoch!}:${seq!}`) !== event!.type)).toEqual([]);
    if (this.laggings === 0) expect(events.length).toBe(left.events.size);
    return `${left.outcomes.size} outcomes, ${left.boots} boots, sound`;
  }

  async expectHealthy(): Promise<void> {
    const [health, verified] = await this.viewer.ask({ type: 'health_check' }, { type: 'verify_journal' });
    expect(health).toMatchObject({ data: { healthy: true } });
    expect(verified).toMatchObject({ data: { ok: true, problems: [] } });
  }

  get address(): { readonly listening: boolean; readonly url: string } {
    return { listening: this.listener!.listening, url: this.#url };
  }

  /** Nothing listens any more; sockets that live stay. */
  async closeListener(): Promise<void> {
    this.listener!.close();
    await vi.waitFor(() => expect(this.listener!.listening).toBe(false), PATIENCE);
  }

  async killJournalThread(): Promise<void> {
    const exited = once(this.journalThread!, 'exit');
    await this.journalThread!.terminate();
    await exited.catch(() => undefined);
  }

  logged(message: string): unknown[] {
    return this.observations.filter((observation) => observation.message === message).map((each) => each['child']);
  }
}

type Told = Pick<Frame, 'success' | 'errorCode' | 'sessionVersion'>;

const asTold = (outcome: Told | undefined): unknown =>
  outcome && { success: outcome.success, errorCode: outcome.errorCode, sessionVersion: outcome.sessionVersion };
