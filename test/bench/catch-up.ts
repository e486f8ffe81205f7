/**
 * Coming back: clients that attach from the start of a session with many events, until they see what happens now.
 */
import { latencyOf, type Latency } from './statistics.ts';
import { Wire } from './wire.ts';

export interface CatchUpOptions {
  readonly port: number;
  readonly sessionId: string;
  /** So many events there are. */
  readonly events: number;
  /** So many clients, one after the other or all at once. */
  readonly clients: number;
  readonly atOnce: boolean;
}

export interface CatchUpResult {
  /** From the attach until synced. */
  readonly latency: Latency;
  readonly problemCount: number;
  readonly problems: readonly string[];
}

const SYNCED_MS_MAX = 60_000;
const EVENT = Buffer.from('{"type":"event",');
const SYNCED = Buffer.from('{"type":"session_synced",');

export async function catchUp(options: CatchUpOptions): Promise<CatchUpResult> {
  const { clients, atOnce } = options;
  const problems: string[] = [];
  const times: number[] = [];
  const one = async (): Promise<void> => {
    const { ms, seen, problem } = await attachOnce(options);
    times.push(ms);
    if (problem !== undefined) problems.push(problem);
    else if (seen !== options.events) problems.push(`${seen} of ${options.events} events were shown before synced`);
  };
  if (atOnce) await Promise.all(Array.from({ length: clients }, one));
  else for (let index = 0; index < clients; index += 1) await one();
  return { latency: latencyOf(times), problemCount: problems.length, problems: problems.slice(0, 10) };
}

async function attachOnce({ port, sessionId }: CatchUpOptions) {
  const wire = await Wire.connect(port);
  const sentAt = performance.now();
  let seen = 0;
  const isSynced = await new Promise<boolean>((resolve) => {
    const late = setTimeout(() => resolve(false), SYNCED_MS_MAX);
    wire.onFrame = (bytes, start) => {
      if (startsWith(bytes, start, EVENT)) seen += 1;
      else if (startsWith(bytes, start, SYNCED)) {
        clearTimeout(late);
        resolve(true);
      }
    };
    wire.sendText(JSON.stringify({ type: 'attach_session', id: 'attach', sessionId, after: 'start' }));
  });
  const ms = performance.now() - sentAt;
  const problem = isSynced ? wire.problem : (wire.problem ?? 'was never synced');
  await wire.close();
  return { ms, seen, problem };
}

function startsWith(bytes: Buffer, start: number, expected: Buffer): boolean {
  return bytes.compare(expected, 0, expected.length, start, start + expected.length) === 0;
}
