/**
 * Latency of control commands and reads while a turn runs in every session, on a server that does nothing else.
 *
 * Each session streams an answer slowly to a client that is attached to it; another client asks one thing at a time. An abort
 * ends a turn, so another one is started before the next question, and that is not measured.
 */
import { request, sleep } from './load.ts';
import { latencyOf, type Latency } from './statistics.ts';
import { Wire } from './wire.ts';

export interface TurnsOptions {
  readonly port: number;
  readonly sessions: number;
  /** Makes ids and sessions of this call different from those of all others. */
  readonly name: string;
  readonly windowMs: number;
}

export interface TurnsResult {
  readonly steer: Latency;
  readonly getState: Latency;
  readonly abort: Latency;
  readonly deltasPerSecond: number;
}

const WORD_DELAY_MS = 20;
/** More words than the window has time for. */
const WORDS = 900;

export async function askDuringTurns({ port, sessions, name, windowMs }: TurnsOptions): Promise<TurnsResult> {
  const viewer = await Wire.connect(port);
  const client = await Wire.connect(port);
  const ids = Array.from({ length: sessions }, (_, index) => `${name}-${index}`);
  let asked = 0;
  const ask = async (wire: Wire, fields: object): Promise<number> => {
    asked += 1;
    const text = JSON.stringify({ id: `${name}:${asked}`, ...fields });
    const from = performance.now();
    await request(wire, text);
    return performance.now() - from;
  };
  const quiet = { type: 'subscribe', topics: ['lifecycle'], scope: 'own' };
  const prompt = { type: 'prompt', respond: 'accepted', message: 'word '.repeat(WORDS) };

  await ask(viewer, quiet);
  await ask(client, quiet);
  for (const sessionId of ids) {
    await ask(client, { type: 'create_session', sessionId, input: { delayMs: WORD_DELAY_MS } });
    await ask(viewer, { type: 'attach_session', sessionId });
    await ask(client, { ...prompt, sessionId });
  }
  let deltas = 0;
  viewer.onFrame = () => (deltas += 1);

  const took = { steer: [] as number[], getState: [] as number[], abort: [] as number[] };
  const startedAt = performance.now();
  for (let round = 0; performance.now() - startedAt < windowMs; round += 1) {
    const sessionId = ids[round % ids.length];
    took.steer.push(await ask(client, { type: 'steer', sessionId, message: 'another word' }));
    took.getState.push(await ask(client, { type: 'get_state', sessionId }));
    took.abort.push(await ask(client, { type: 'abort', sessionId }));
    await ask(client, { ...prompt, sessionId });
    await sleep(1);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const sessionId of ids) await ask(client, { type: 'delete_session', sessionId });
  await viewer.close();
  await client.close();
  return {
    steer: latencyOf(took.steer),
    getState: latencyOf(took.getState),
    abort: latencyOf(took.abort),
    deltasPerSecond: deltas / seconds,
  };
}
