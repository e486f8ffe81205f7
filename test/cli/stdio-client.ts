/** A program that talks to a server of its own over pipes: it keeps every line, reads when it wants to, and can go away. */
import type { Readable, Writable } from 'node:stream';
import type { RunOptions, Troupe, Workplace } from './troupe-process.ts';

export type Frame = Readonly<Record<string, unknown>>;

export class StdioClient {
  readonly input: Writable;
  readonly output: Readable;
  /** Everything that came over stdout, line by line. */
  readonly lines: string[] = [];
  #chunks: Buffer[] = [];
  readonly #listeners = new Set<() => void>();

  constructor({ child }: Troupe) {
    this.input = child.stdin!;
    this.output = child.stdout!;
    // The server may end first: what is on its way then is lost, as it would be for any program.
    this.input.on('error', () => undefined);
    this.output.on('data', (chunk: Buffer) => this.#take(chunk));
    this.output.on('close', () => this.#told());
  }

  /** What came behind the last LF. */
  get rest(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get frames(): Frame[] {
    return this.lines.map((line) => JSON.parse(line) as Frame);
  }

  send(...commands: (Frame | string)[]): void {
    const texts = commands.map((command) => (typeof command === 'string' ? command : JSON.stringify(command)));
    this.input.write(texts.map((text) => `${text}\n`).join(''));
  }

  responses(): Frame[] {
    return this.frames.filter(({ type }) => type === 'response');
  }

  async response(id: string): Promise<Frame> {
    const found = await this.until((line) => line.startsWith('{"type":"response"') && idOf(line) === id);
    return JSON.parse(found) as Frame;
  }

  /** The first line that is looked for, also one that was there before. Rejects when stdout ends without it. */
  async until(isIt: (line: string) => boolean): Promise<string> {
    let seen = 0;
    for (;;) {
      for (; seen < this.lines.length; seen += 1) if (isIt(this.lines[seen]!)) return this.lines[seen]!;
      if (this.output.closed) throw new Error(`stdout ended without the line, after ${this.lines.length} others.`);
      await new Promise<void>((resolve) => {
        this.#listeners.add(resolve);
      });
    }
  }

  #take(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.lines.push(Buffer.concat([...this.#chunks, chunk.subarray(start, end)]).toString());
      this.#chunks = [];
      start = end + 1;
    }
    if (start < chunk.length) this.#chunks.push(chunk.subarray(start));
    this.#told();
  }

  #told(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

const idOf = (line: string): unknown => (JSON.parse(line) as Frame)['id'];

export interface StartedStdio {
  readonly troupe: Troupe;
  readonly client: StdioClient;
}

export function startStdio(place: Workplace, options: RunOptions = {}, ...args: string[]): StartedStdio {
  const troupe = place.run(['--stdio', '--data-dir', 'data', ...args], { ...options, stdio: true });
  return { troupe, client: new StdioClient(troupe) };
}

export const ping = (id: string): Frame => ({ type: 'ping', id });
export const scripted = (steps: unknown): Frame => ({
  type: 'create_session',
  sessionId: 's',
  id: 'create',
  engine: 'scripted',
  input: { turns: [steps] },
});
export const echo: Frame = { type: 'create_session', sessionId: 's', id: 'create' };
export const prompt: Frame = { type: 'prompt', sessionId: 's', message: 'go', id: 'prompt' };
/** 600,000 bytes, and as many again in the answer. */
export const long = { ...prompt, message: '€'.repeat(200_000) };
export const running = (line: string): boolean =>
  line.startsWith('{"type":"command_started"') && line.includes('"commandId":"prompt"');
export const messages = ({ log }: Troupe): string[] => log.map(({ msg }) => msg);
