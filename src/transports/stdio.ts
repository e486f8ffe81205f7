/**
 * The one client on stdin and stdout: frames are lines, its end is the end of the transport.
 *
 * A reader that stalls stops the reading as well: past `outgoingBytesMax` nothing more is taken from the input until half of
 * that is gone, so a client that asks and never listens costs one queue and no more. What Node offers no way around: files
 * and terminals, and pipes on Windows, are written to synchronously. Whatever happens here is told once through `onEnd`; to
 * end the process is the business of who owns it. State: volatile.
 */
import type { Readable, Writable } from 'node:stream';
import type { Principal } from '../../actors/message.ts';
import type { Clock, Outlet, Peer, Reception, Telemetry } from '../../actors/ports.ts';
import { closeCodes } from '../protocol/close-codes.ts';
import { LineWriter } from './line-writer.ts';
import { Lines } from './lines.ts';

/** What the transport needs of the runtime. */
export interface StdioPorts {
  readonly reception: Reception;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** The two streams of the client. */
export interface StdioStreams {
  readonly input: Readable;
  /** Carries frames alone: nobody else may write to it. */
  readonly output: Writable;
}

/** The input is over, the output can't be written any more, the client was too slow, or a defect broke the connection. */
export type StdioEnd = 'input ended' | 'output broken' | 'closed' | 'defect';

/** Limits, and what happens when the client is gone. */
export interface StdioOptions {
  readonly frameBytesMax: number;
  /** Bytes that wait for the reader before no more commands are taken in. */
  readonly outgoingBytesMax: number;
  readonly principal: Principal;
  /** Called once. After `input ended` answers still go out until `stop`. */
  readonly onEnd: (reason: StdioEnd) => void;
}

/** The transport of one client. */
export interface StdioTransport {
  /** Takes the client's place among the connections; its frames stay in the pipe. */
  connect(): void;
  /** Takes frames from now on: the pipe keeps what came before, so nothing has to. */
  read(): void;
  /** Takes no frames any more, and settles when what was written is delivered or nobody takes it. */
  stop(): Promise<void>;
}

/** How long a reader may take nothing at all of the last answers. */
const PATIENCE_MS = 10_000;

/** Makes the transport; it takes no frame before `read`. */
export function createStdioTransport(streams: StdioStreams, ports: StdioPorts, options: StdioOptions): StdioTransport {
  let connection: StdioConnection | undefined;
  return {
    connect() {
      connection = new StdioConnection(streams, ports, options);
      connection.introduce(ports.reception);
    },
    read: () => connection?.read(),
    async stop() {
      connection?.close(closeCodes.goingAway, 'going away');
      await connection?.gone;
    },
  };
}

class StdioConnection implements Outlet {
  readonly #streams: StdioStreams;
  readonly #ports: StdioPorts;
  readonly #options: StdioOptions;
  readonly #lines: Lines;
  readonly #writer: LineWriter;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onInputEnd = (): void => this.#finishInput();
  /** Settles when nothing is left to deliver. */
  readonly gone: Promise<void>;
  #settleGone!: () => void;
  #peer: Peer | undefined;
  #inputEnded = false;
  /** The reader is behind: no more commands until it has caught up. */
  #paused = false;
  #closing = false;
  #told = false;

  constructor(streams: StdioStreams, ports: StdioPorts, options: StdioOptions) {
    this.#streams = streams;
    this.#ports = ports;
    this.#options = options;
    this.#lines = new Lines(options.frameBytesMax);
    const broken = (error?: Error | null): void => this.#breakOff(error?.message ?? 'closed');
    this.#writer = new LineWriter(streams.output, { taken: () => this.#catchUp(), broken });
    this.gone = new Promise((resolve) => (this.#settleGone = resolve));
    // These stay for good: an EPIPE that nobody listens to is an uncaught exception.
    streams.output.on('error', broken);
    streams.output.on('close', broken);
    streams.input.on('error', (error) => {
      ports.telemetry.observe({ level: 'info', message: 'stdin broken', error: error.message });
      this.#finishInput();
    });
  }

  get bufferedBytes(): number {
    return this.#writer.waitingBytes;
  }

  write(text: string): void {
    if (!this.#closing) this.#writer.write(text);
  }

  whenTaken(callback: () => void): void {
    if (!this.#closing) this.#writer.whenTaken(() => this.#guarded(callback));
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#leaveInput();
    // Whoever stops the server knows that it ends.
    if (code === closeCodes.goingAway) this.#told = true;
    else this.#ports.telemetry.observe({ level: 'warn', message: 'stdio closed', code, reason });
    void this.#writer.finish(this.#ports.clock, PATIENCE_MS).then(() => {
      this.#settle();
      this.#tell(code === closeCodes.internalError ? 'defect' : 'closed');
    });
  }

  introduce(reception: Reception): void {
    this.#guarded(() => {
      this.#peer = reception.connect(this, this.#options.principal, 'stdio');
    });
  }

  read(): void {
    if (this.#closing) return;
    const { input } = this.#streams;
    // `close` alone comes when somebody destroys the stream.
    for (const over of ['end', 'close']) input.on(over, this.#onInputEnd);
    input.on('data', this.#onData);
  }

  #take(chunk: Buffer): void {
    this.#lines.push(chunk);
    this.#deliver();
  }

  #finishInput(): void {
    if (this.#inputEnded || this.#closing) return;
    this.#inputEnded = true;
    this.#deliver();
  }

  /** Hands frames on, as long as there are any and their answers find room. */
  #deliver(): void {
    while (!this.#closing) {
      this.#paused = this.bufferedBytes > this.#options.outgoingBytesMax;
      if (this.#paused) {
        this.#streams.input.pause();
        return;
      }
      const frame = this.#lines.next() ?? (this.#inputEnded ? this.#lines.end() : undefined);
      if (frame === undefined) break;
      this.#guarded(() => this.#peer?.receive(frame));
    }
    if (this.#closing) return;
    if (this.#inputEnded) this.#tell('input ended');
    else this.#streams.input.resume();
  }

  #catchUp(): void {
    if (this.#paused && 2 * this.bufferedBytes <= this.#options.outgoingBytesMax) this.#deliver();
  }

  #leaveInput(): void {
    this.#closing = true;
    const { input } = this.#streams;
    input.off('data', this.#onData);
    for (const over of ['end', 'close']) input.off(over, this.#onInputEnd);
    input.pause();
  }

  /** The reader is gone: a disconnect. */
  #breakOff(error: string): void {
    if (this.#closing) return this.#writer.discard();
    this.#leaveInput();
    this.#ports.telemetry.observe({ level: 'info', message: 'stdout broken', error });
    this.#writer.discard();
    this.#settle();
    this.#tell('output broken');
  }

  #settle(): void {
    this.#peer?.closed();
    this.#settleGone();
  }

  #tell(reason: StdioEnd): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onEnd(reason);
  }

  /** A defect behind the port costs this client its connection. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#ports.telemetry.observe({ level: 'error', message: 'a defect broke a connection', error });
      this.close(closeCodes.internalError, 'Internal error');
    }
  }
}
