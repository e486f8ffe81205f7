/**
 * Load: many connections, each with many commands outstanding, written in bursts.
 *
 * Everything that was sent is awaited and checked at the end, also what was sent before and after the measured window.
 * Without a rate it is a closed loop (as fast as answers come), with one it is open (so many per second, whatever comes).
 */
import { readFileSync } from 'node:fs';
import { Answers, type Expected } from './answers.ts';
import { latencyOf, type Latency } from './statistics.ts';
import { PreparedFrame, Wire } from './wire.ts';

export interface LoadOptions {
  readonly port: number;
  /** Its processor time is read at both ends of the window. */
  readonly serverPid: number;
  readonly connections: number;
  readonly outstanding: number;
  readonly burst: number;
  /** Texts with the place of a number. Connection N sends those whose index leaves N over, in turn. */
  readonly commands: readonly string[];
  readonly expected: Expected;
  readonly firstNumber: number;
  /** Sent on each connection before anything else. */
  readonly prologue: readonly string[];
  /** Commands before the window is opened. */
  readonly warmupMs: number;
  readonly windowMs: number;
  /** Send so many commands, the same share on each connection, and open no window. */
  readonly count?: number;
  /** Commands per second, as long as that keeps to `outstanding`. */
  readonly rate?: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly sent: number;
  /** From the write of a burst to the read of the answer. */
  readonly latency: Latency;
  /** Share of one core that the client took in the window: near 1 it is the client that was measured. */
  readonly clientShare: number;
  /** Processor time of the server per answered command, microseconds; absent where the system does not tell. */
  readonly serverMicros: { readonly loop: number; readonly all: number } | undefined;
  /** Lifecycle frames that came per command. */
  readonly lifecyclePerCommand: number;
  readonly problemCount: number;
  readonly problems: readonly string[];
}

const COMMANDS_MAX = 4_000_000;
const ANSWERS_AWAITED_MS_MAX = 15_000;
/** Lifecycle frames to other connections come behind the last answer. */
const LAST_FRAMES_MS = 50;
const TICK_MICROS = 10_000;

interface Sender {
  readonly wire: Wire;
  readonly frames: readonly PreparedFrame[];
  readonly frameBytesMax: number;
  /** Commands that it may still send. */
  budget: number;
  turn: number;
  outstanding: number;
}

interface Mark {
  readonly at: number;
  readonly answered: number;
  readonly client: number;
  readonly server: { readonly loop: number; readonly all: number } | undefined;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #answers: Answers;
  readonly #sentAt: Float64Array;
  readonly #tookMs: Float64Array;
  readonly #senders: Sender[] = [];
  #sent = 0;
  #stopped = false;
  #openedAt = Infinity;
  #samples = 0;

  constructor(options: LoadOptions) {
    const commandsMax = options.count ?? COMMANDS_MAX;
    this.#options = options;
    this.#answers = new Answers(options.expected, options.firstNumber, commandsMax);
    this.#sentAt = new Float64Array(commandsMax);
    this.#tookMs = new Float64Array(commandsMax);
  }

  async run(): Promise<LoadResult> {
    const { connections, commands, count, rate, warmupMs, windowMs, serverPid } = this.#options;
    for (let index = 0; index < connections; index += 1) {
      await this.#connect(commands.filter((_, command) => command % connections === index));
    }
    const startedAt = this.#mark(serverPid);
    let opened = startedAt;
    if (count !== undefined) this.#openedAt = startedAt.at;
    const pacing = rate === undefined ? undefined : setInterval(() => this.#pace(startedAt.at, rate), 1);
    if (rate === undefined) for (const sender of this.#senders) this.#fill(sender);

    if (count === undefined) {
      await sleep(warmupMs);
      opened = this.#mark(serverPid);
      this.#openedAt = opened.at;
      await sleep(windowMs);
    } else await this.#until(() => this.#sent === count && this.#answers.answered >= count);
    const closed = this.#mark(serverPid);
    this.#openedAt = Infinity;
    this.#stopped = true;
    clearInterval(pacing);

    await this.#until(() => this.#answers.answered >= this.#sent);
    await sleep(LAST_FRAMES_MS);
    this.#answers.finish(this.#sent);
    for (const { wire } of this.#senders) {
      if (wire.problem !== undefined) this.#answers.complain(wire.problem);
      await wire.close();
    }
    return this.#result(opened, closed);
  }

  async #connect(commands: readonly string[]): Promise<void> {
    const wire = await Wire.connect(this.#options.port);
    for (const text of this.#options.prologue) await request(wire, text);
    const frames = commands.map((text) => new PreparedFrame(text));
    const frameBytesMax = Math.max(...frames.map(({ bytes }) => bytes.length));
    const { connections, count = Infinity } = this.#options;
    const sender: Sender = { wire, frames, frameBytesMax, budget: count / connections, turn: 0, outstanding: 0 };
    wire.onFrame = (bytes, start, end) => {
      const index = this.#answers.take(bytes, start, end);
      if (index < 0) return;
      sender.outstanding -= 1;
      if (this.#openedAt === Infinity) return;
      this.#tookMs[this.#samples] = performance.now() - this.#sentAt[index]!;
      this.#samples += 1;
    };
    if (this.#options.rate === undefined) wire.onRead = () => this.#fill(sender);
    this.#senders.push(sender);
  }

  #fill(sender: Sender): void {
    const { outstanding, burst } = this.#options;
    while (!this.#stopped && sender.budget > 0 && sender.outstanding + burst <= outstanding) this.#burst(sender, burst);
  }

  #burst(sender: Sender, count: number): void {
    const { firstNumber } = this.#options;
    const commands = Math.min(count, sender.budget, this.#sentAt.length - this.#sent);
    if (commands <= 0) return;
    sender.budget -= commands;
    const now = performance.now();
    const bytes = Buffer.allocUnsafe(commands * sender.frameBytesMax);
    let at = 0;
    for (let index = 0; index < commands; index += 1) {
      const frame = sender.frames[sender.turn % sender.frames.length]!;
      this.#sentAt[this.#sent] = now;
      at = frame.write(bytes, at, firstNumber + this.#sent);
      sender.turn += 1;
      this.#sent += 1;
    }
    sender.outstanding += commands;
    sender.wire.send(bytes.subarray(0, at));
  }

  #pace(startedAt: number, rate: number): void {
    let due = Math.floor(((performance.now() - startedAt) / 1_000) * rate) - this.#sent;
    const share = Math.ceil(due / this.#senders.length);
    for (const sender of this.#senders) {
      if (due <= 0) return;
      this.#burst(sender, Math.min(share, due, this.#options.outstanding - sender.outstanding));
      due -= share;
    }
  }

  async #until(done: () => boolean): Promise<void> {
    const deadline = performance.now() + ANSWERS_AWAITED_MS_MAX;
    let answered = -1;
    let patience = deadline;
    while (!done() && performance.now() < patience && this.#senders.every(({ wire }) => wire.problem === undefined)) {
      if (this.#answers.answered !== answered) patience = performance.now() + ANSWERS_AWAITED_MS_MAX;
      answered = this.#answers.answered;
      await sleep(5);
    }
  }

  #mark(serverPid: number): Mark {
    const { user, system } = process.cpuUsage();
    const server = serverMicros(serverPid);
    return { at: performance.now(), answered: this.#answers.answered, client: user + system, server };
  }

  #result(opened: Mark, closed: Mark): LoadResult {
    const { problemCount, problems, lifecycle } = this.#answers;
    const answered = closed.answered - opened.answered;
    const ms = closed.at - opened.at;
    const micros = (of: 'loop' | 'all'): number =>
      opened.server === undefined || closed.server === undefined
        ? Number.NaN
        : (closed.server[of] - opened.server[of]) / answered;
    return {
      perSecond: (answered * 1_000) / ms,
      sent: this.#sent,
      latency: latencyOf(this.#tookMs.subarray(0, this.#samples)),
      clientShare: (closed.client - opened.client) / 1_000 / ms,
      serverMicros: closed.server === undefined ? undefined : { loop: micros('loop'), all: micros('all') },
      lifecyclePerCommand: lifecycle / this.#sent,
      problemCount,
      problems,
    };
  }
}

/** Sends one command and waits for its response, which has to say success. */
export async function request(wire: Wire, text: string): Promise<void> {
  const before = wire.onFrame;
  const { id } = JSON.parse(text) as { id: string };
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(wire.problem ?? `no answer to ${text}`)), ANSWERS_AWAITED_MS_MAX);
      wire.onFrame = (bytes, start, end) => {
        const answer = bytes.toString('utf8', start, end);
        const { type, id: to, success } = JSON.parse(answer) as { type: string; id?: string; success?: boolean };
        if (type !== 'response' || to !== id) return;
        if (success === true) resolve();
        else reject(new Error(`no success: ${answer.slice(0, 300)}`));
      };
      wire.sendText(text);
    });
  } finally {
    clearTimeout(timer);
    wire.onFrame = before;
  }
}

/** Processor time of the main thread and of all threads together, where /proc tells. */
function serverMicros(pid: number): { loop: number; all: number } | undefined {
  try {
    return { loop: ticks(`/proc/${pid}/task/${pid}/stat`), all: ticks(`/proc/${pid}/stat`) };
  } catch {
    return undefined;
  }
}

function ticks(path: string): number {
  const stat = readFileSync(path, 'latin1');
  // The name in brackets may hold blanks; user and system time are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
