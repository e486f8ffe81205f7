/** A WebSocket client that keeps every frame, sends as many commands as it likes without waiting, and waits for frames. */
import { WebSocket, type RawData } from 'ws';
import { onTestFinished } from 'vitest';
import type { ServerProcess } from './server-process.ts';

/** Any frame of the server; what is not on all of them is `undefined` on the others. */
export interface Frame {
  readonly type: string;
  readonly id?: unknown;
  readonly command?: string;
  readonly success?: boolean;
  readonly error?: string;
  readonly errorCode?: string;
  readonly sessionVersion?: number;
  readonly replayed?: true;
  readonly timedOut?: true;
  readonly stale?: true;
  readonly durable?: false;
  readonly details?: unknown;
  readonly sessionId?: string;
  readonly event?: { readonly type: string; readonly [field: string]: unknown };
  readonly epoch?: string;
  readonly seq?: number;
  readonly ephemeral?: true;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- data of any command, read by tests
  readonly data?: any;
}

export interface CommandFrame {
  readonly type: string;
  readonly id?: string;
  readonly [field: string]: unknown;
}

interface Waiter {
  readonly found: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

/** Half of what a connection may have pending. */
const AT_ONCE = 50;

/** Of ids for commands that need none of the test's own: all clients are one principal, so none may come twice. */
let drawn = 0;

export class Client {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Called for each frame, behind those who wait for one. */
  onFrame: ((frame: Frame) => void) | undefined;
  readonly #waiters: Waiter[] = [];
  #isClosed = false;

  /** Connected and greeted. */
  static async connect(server: ServerProcess): Promise<Client> {
    const client = new Client(await server.url());
    await client.until(({ type }) => type === 'startup_recovery_summary');
    return client;
  }

  constructor(url: string) {
    this.socket = new WebSocket(url, { perMessageDeflate: false });
    this.socket.on('message', (data: RawData) => this.#receive(JSON.parse((data as Buffer).toString()) as Frame));
    // A server that is killed breaks connections: `closed` tells it.
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code: number, reason: Buffer) => {
        this.#isClosed = true;
        for (const { reject } of this.#waiters.splice(0)) reject(new Error(`the connection closed with ${code}`));
        resolve({ code, reason: reason.toString() });
      });
    });
    onTestFinished(() => this.socket.terminate());
  }

  send(...frames: readonly CommandFrame[]): void {
    for (const frame of frames) this.socket.send(JSON.stringify(frame));
  }

  /** The first frame that fits: among those that came since frame number `from`, or one that comes. */
  until(found: (frame: Frame) => boolean, from = 0): Promise<Frame> {
    for (let index = from; index < this.frames.length; index += 1) {
      const frame = this.frames[index]!;
      if (found(frame)) return Promise.resolve(frame);
    }
    if (this.#isClosed) return Promise.reject(new Error('the connection is closed'));
    return new Promise((resolve, reject) => this.#waiters.push({ found, resolve, reject }));
  }

  /** Sends commands at once, those without an id under one of their own; their next responses, in the order of the commands. */
  ask(...commands: readonly CommandFrame[]): Promise<Frame[]> {
    const from = this.frames.length;
    const identified = commands.map((command) => ({ id: `ask-${(drawn += 1)}`, ...command }));
    const answers = identified.map(({ id }) => this.response(id, from));
    this.send(...identified);
    return Promise.all(answers);
  }

  /** As `ask`, for more commands than a connection may have pending. */
  async askAll(commands: readonly CommandFrame[]): Promise<Frame[]> {
    const answers: Frame[] = [];
    for (let from = 0; from < commands.length; from += AT_ONCE) {
      answers.push(...(await this.ask(...commands.slice(from, from + AT_ONCE))));
    }
    return answers;
  }

  /** The response to one command. */
  async answer(command: CommandFrame): Promise<Frame> {
    const [response] = await this.ask(command);
    return response!;
  }

  response(id: unknown, from = 0): Promise<Frame> {
    return this.until((frame) => frame.type === 'response' && frame.id === id, from);
  }

  /** All responses that came to these commands, in the order of their coming. */
  answersTo(commands: readonly CommandFrame[]): Frame[] {
    const ids = new Set<unknown>(commands.map(({ id }) => id));
    return this.frames.filter(({ type, id }) => type === 'response' && ids.has(id));
  }

  /** A lifecycle frame of a command. */
  lifecycle(type: 'accepted' | 'started' | 'finished', commandId: string): Promise<Frame> {
    return this.until((frame) => frame.type === `command_${type}` && frame.data.commandId === commandId);
  }

  /** Durable events of a session that it saw, in order. */
  events(sessionId: string): Frame[] {
    return this.frames.filter((frame) => frame.type === 'event' && frame.sessionId === sessionId && !frame.ephemeral);
  }

  #receive(frame: Frame): void {
    this.frames.push(frame);
    for (let index = 0; index < this.#waiters.length;) {
      const waiter = this.#waiters[index]!;
      if (!waiter.found(frame)) index += 1;
      else {
        this.#waiters.splice(index, 1);
        waiter.resolve(frame);
      }
    }
    this.onFrame?.(frame);
  }
}
