/**
 * Latency: one connection, one command outstanding.
 */
import { Answers, type Expected } from './answers.ts';
import { request, sleep } from './load.ts';
import { latencyOf, type Latency } from './statistics.ts';
import { PreparedFrame, Wire } from './wire.ts';

export interface PingPongOptions {
  readonly port: number;
  readonly command: string;
  readonly expected: Expected;
  readonly firstNumber: number;
  readonly prologue: readonly string[];
  readonly warmupMs: number;
  readonly windowMs: number;
  /** Wait so long after each answer. */
  readonly pauseMs?: number;
}

export interface PingPongResult {
  readonly latency: Latency;
  readonly sent: number;
  readonly problemCount: number;
  readonly problems: readonly string[];
}

const COMMANDS_MAX = 1_000_000;
const ANSWER_AWAITED_MS_MAX = 15_000;

export async function pingPong(options: PingPongOptions): Promise<PingPongResult> {
  const { port, command, expected, firstNumber, prologue, warmupMs, windowMs, pauseMs } = options;
  const wire = await Wire.connect(port);
  for (const text of prologue) await request(wire, text);
  const answers = new Answers(expected, firstNumber, COMMANDS_MAX);
  const frame = new PreparedFrame(command);
  const times: number[] = [];
  let sent = 0;
  let sentAt = 0;
  const openedAt = performance.now() + warmupMs;
  const closedAt = openedAt + windowMs;

  await new Promise<void>((resolve) => {
    let watch: NodeJS.Timeout | undefined;
    const ask = (): void => {
      if (performance.now() >= closedAt) return resolve();
      clearTimeout(watch);
      watch = setTimeout(resolve, ANSWER_AWAITED_MS_MAX);
      const bytes = Buffer.allocUnsafe(frame.bytes.length);
      frame.write(bytes, 0, firstNumber + sent);
      sent += 1;
      sentAt = performance.now();
      wire.send(bytes);
    };
    wire.onFrame = (bytes, start, end) => {
      if (answers.take(bytes, start, end) < 0) return;
      if (sentAt >= openedAt) times.push(performance.now() - sentAt);
      if (pauseMs === undefined) ask();
      else setTimeout(ask, pauseMs);
    };
    ask();
  });
  await sleep(10);
  answers.finish(sent);
  if (wire.problem !== undefined) answers.complain(wire.problem);
  await wire.close();
  return { latency: latencyOf(times), sent, problemCount: answers.problemCount, problems: answers.problems };
}
