/** A client of a server in this process, for those who run outside of a test too: it keeps what it sent and what it was told. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface CommandFrame {
  readonly type: string;
  readonly id: string;
  readonly [field: string]: unknown;
}

export interface Frame {
  readonly type: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- frames of any kind
  readonly [field: string]: any;
}

export class Line {
  readonly frames: Frame[] = [];
  readonly sent: CommandFrame[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Set<{ found: (frame: Frame) => boolean; resolve: (frame: Frame) => void }>();

  static async connect(url: string): Promise<Line> {
    const line = new Line(new WebSocket(url.replace(/^http/, 'ws'), { perMessageDeflate: false }));
    await once(line.#socket, 'open');
    await line.until(({ type }) => type === 'startup_recovery_summary');
    return line;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#hear(JSON.parse((data as Buffer).toString()) as Frame));
    socket.on('error', () => undefined);
  }

  send(...commands: readonly CommandFrame[]): void {
    for (const command of commands) {
      this.sent.push(command);
      this.#socket.send(JSON.stringify(command));
    }
  }

  /** Sends in one go and waits for the final response to each: not for the one that only says that a turn has begun. */
  ask(...commands: readonly CommandFrame[]): Promise<Frame[]> {
    this.send(...commands);
    return Promise.all(commands.map(({ id }) => this.response(id)));
  }

  response(id: string): Promise<Frame> {
    return this.until((frame) => frame.type === 'response' && frame['id'] === id && !isEarly(frame));
  }

  event(sessionId: string, type: string): Promise<Frame> {
    return this.until((frame) => frame['sessionId'] === sessionId && frame['event']?.type === type);
  }

  step(step: 'accepted' | 'started', commandId: string): Promise<Frame> {
    return this.until(({ type, data }) => type === `command_${step}` && data.commandId === commandId);
  }

  /** The newest frame that fits, or the next one. */
  until(found: (frame: Frame) => boolean): Promise<Frame> {
    const seen = this.frames.findLast(found);
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve) => this.#waiting.add({ found, resolve }));
  }

  close(): void {
    this.#socket.terminate();
  }

  #hear(frame: Frame): void {
    this.frames.push(frame);
    for (const waiting of this.#waiting) {
      if (!waiting.found(frame)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(frame);
    }
  }
}

function isEarly({ data }: Frame): boolean {
  return data?.accepted === true;
}
