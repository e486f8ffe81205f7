/**
 * The client behind one HTTP request, as the runtime sees it: a connection like any other. What it asks goes through the same
 * intake, and what it is told comes back here as frames, to be translated.
 *
 * Nothing here decides anything: rights, limits and wrong fields are found where they are found for everybody. State: volatile.
 */
import type { ServerResponse } from 'node:http';
import type { Principal } from '../../actors/message.ts';
import type { Clock, Outlet, Peer, Reception, Telemetry } from '../../actors/ports.ts';
import { closeCodes } from '../protocol/close-codes.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import { answerBody, answerFrame, type AnswerFrame } from './http-answer.ts';

/** What a request needs of the runtime. */
export interface HttpPorts {
  readonly reception: Reception;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** A frame of the server; what is not on all of them is `undefined` on the others. */
export interface IncomingFrame extends AnswerFrame {
  readonly type: string;
  readonly command?: string;
  readonly sessionId?: string;
  readonly epoch?: string;
  readonly seq?: number;
  readonly ephemeral?: true;
  readonly data?: { readonly [field: string]: unknown };
}

/** One answer was asked for; its text is the frame as it came. */
type OnAnswer = (frame: IncomingFrame, text: string) => void;

export class HttpClient implements Outlet {
  /** Called for each frame that is no answer. */
  onFrame: ((frame: IncomingFrame, text: string) => void) | undefined;
  readonly #response: ServerResponse;
  readonly #ports: HttpPorts;
  #peer: Peer | undefined;
  readonly #asked: { readonly command: string; readonly onAnswer: OnAnswer }[] = [];
  #text = '';
  #waitingBytes = 0;
  #underWay = 0;
  #awaited: (() => void)[] = [];
  #over = false;

  constructor(response: ServerResponse, ports: HttpPorts) {
    this.#response = response;
    this.#ports = ports;
    response.on('error', (error) => {
      ports.telemetry.observe({ level: 'info', message: 'connection broken', error: error.message });
    });
    response.once('close', () => this.#leave());
  }

  /** True once its answer has ended, or nobody waits for it. */
  get isOver(): boolean {
    return this.#over;
  }

  get bufferedBytes(): number {
    return this.#waitingBytes;
  }

  /** Brings the client to the runtime. */
  introduce(principal: Principal): void {
    this.#guarded(() => {
      const peer = this.#ports.reception.connect(this, principal, 'http');
      if (this.#over) peer?.closed();
      else this.#peer = peer;
    });
    // A request hears of its own session alone.
    this.ask({ type: 'unsubscribe', topics: ['lifecycle'] }, () => undefined);
  }

  /** Sends a command; `onAnswer` is called with its response, before any frame that follows that. */
  ask(command: { readonly type: string; readonly [field: string]: unknown }, onAnswer: OnAnswer): void {
    if (this.#over) return;
    this.#asked.push({ command: command.type, onAnswer });
    this.#guarded(() => this.#peer?.receive(Buffer.from(JSON.stringify(command))));
  }

  /** A frame of the runtime. */
  write(text: string): void {
    if (this.#over) return;
    const frame = JSON.parse(text) as IncomingFrame;
    if (frame.type !== 'response') {
      this.onFrame?.(frame, text);
      return;
    }
    const index = this.#asked.findIndex(({ command }) => command === frame.command);
    const [asked] = index < 0 ? [] : this.#asked.splice(index, 1);
    asked?.onAnswer(frame, text);
  }

  /** Puts text into the body of the answer. What comes in one tick leaves in one write. */
  send(text: string): void {
    if (this.#over) return;
    if (this.#text === '') process.nextTick(() => this.#flush());
    this.#text += text;
    this.#waitingBytes += Buffer.byteLength(text);
  }

  whenTaken(callback: () => void): void {
    if (this.#over) return;
    this.#awaited.push(callback);
    if (this.#waitingBytes === 0) process.nextTick(() => this.#tellTaken());
  }

  /** Ends the body, when it has begun. */
  end(): void {
    this.#flush();
    if (this.#over) return;
    this.#leave();
    this.#response.end();
  }

  /** Answers with what a command was answered. */
  refuse(frame: IncomingFrame, text: string): void {
    this.#answer(() => answerFrame(this.#response, frame, text));
  }

  answer(body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.#answer(() => answerBody(this.#response, 200, `${JSON.stringify(body)}\n`, headers));
  }

  close(code: number, reason: string): void {
    if (this.#over) return;
    if (this.#response.headersSent) {
      const slow = code === closeCodes.tryAgainLater;
      if (!slow) return this.end();
      this.#leave();
      this.#response.destroy();
      return;
    }
    const errorCode = CLOSED[code] ?? 'INTERNAL_ERROR';
    const frame = { type: 'response', success: false, error: reason, errorCode } as const;
    const text = JSON.stringify({ success: false, error: reason, errorCode });
    this.#answer(() => answerFrame(this.#response, frame, text, code === closeCodes.tryAgainLater));
  }

  #answer(act: () => void): void {
    if (this.#over) return;
    this.#leave();
    act();
  }

  #flush(): void {
    const text = this.#text;
    if (text === '' || this.#over) return;
    this.#text = '';
    this.#underWay += 1;
    const bytes = Buffer.byteLength(text);
    this.#response.write(text, () => {
      this.#underWay -= 1;
      this.#waitingBytes -= bytes;
      this.#tellTaken();
    });
  }

  #tellTaken(): void {
    if (this.#over || this.#underWay > 0 || this.#text !== '') return;
    for (const callback of this.#awaited.splice(0)) this.#guarded(callback);
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#awaited = [];
    this.#peer?.closed();
  }

  /** A defect behind the port costs this client its answer, and nobody else anything. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#ports.telemetry.observe({ level: 'error', message: 'a defect broke a connection', error });
      this.close(closeCodes.internalError, 'Internal error');
    }
  }
}

/** What a close of the connection says to a request that has no answer yet. */
const CLOSED: Readonly<Record<number, ErrorCode>> = {
  [closeCodes.goingAway]: 'SHUTTING_DOWN',
  [closeCodes.tryAgainLater]: 'RATE_LIMITED',
  [closeCodes.internalError]: 'INTERNAL_ERROR',
};
