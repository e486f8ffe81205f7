/**
 * Traffic of several clients on a few sessions, drawn from a seed, and the memory of what they sent and what they were shown.
 *
 * `keep-*` sessions are only added to, and every command on them has an id: what happened to them can be told from the
 * responses alone. `loose-*` sessions are created and deleted all the time, also by commands without an id.
 */
import type { Client, CommandFrame, Frame } from './client.ts';
import type { Random } from './random.ts';

const KEPT = ['keep-0', 'keep-1', 'keep-2', 'keep-3', 'keep-4', 'keep-5'];
const LOOSE = ['loose-0', 'loose-1', 'loose-2'];
/** Commands of a client without an answer; the server takes 100. */
const OUTSTANDING_MAX = 40;

const READS: ReadonlySet<string> = new Set(['get_state', 'get_messages', 'list_sessions', 'attach_session']);

/** A command with an id, and what clients were shown of it, over all boots. */
export interface Sent {
  readonly id: string;
  readonly frame: CommandFrame;
  readonly sessionId: string;
  /** Changes something, so that its outcome is stored. */
  readonly journalled: boolean;
  /** Some client was shown something of it: it is in the journal. */
  shown: boolean;
  /** Data of the first `command_finished`. */
  finished: Frame | undefined;
  /** As the first response told it. */
  outcome: Outcome | undefined;
}

export type Outcome = Pick<
  Frame,
  'success' | 'data' | 'error' | 'errorCode' | 'details' | 'sessionVersion' | 'timedOut'
>;

export function outcomeOf(response: Frame): Outcome {
  const { success, data, error, errorCode, details, sessionVersion, timedOut } = response;
  return { success, data, error, errorCode, details, sessionVersion, timedOut } as Outcome;
}

export class Load {
  /** In the order of sending, over all connections. */
  readonly sent: Sent[] = [];
  /** Durable events that were shown: their types by `epoch:seq`. */
  readonly shownEvents = new Map<string, string>();
  /** Answers that contradict each other, and the like. */
  readonly problems: string[] = [];
  readonly #byId = new Map<string, Sent>();
  readonly #random: Random;
  #round = 0;
  #counted = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  find(id: string): Sent | undefined {
    return this.#byId.get(id);
  }

  /** Commands on sessions that are never deleted, with their outcomes. */
  kept(): ReadonlyMap<string, readonly Sent[]> {
    return new Map(KEPT.map((id) => [id, this.sent.filter(({ sessionId }) => sessionId === id)]));
  }

  /** Keeps all clients busy until `framesMax` frames came in; calls `strike` at the next response, and waits until all are cut off. */
  async run(clients: readonly Client[], framesMax: number, strike: () => void): Promise<void> {
    this.#round += 1;
    let frames = 0;
    let struck = false;
    clients.forEach((client, index) => {
      let outstanding = 0;
      const own: Sent[] = [];
      const fill = (): void => {
        if (struck) return;
        while (outstanding < OUTSTANDING_MAX) {
          const frame = this.#next(own);
          if (frame.id !== undefined) outstanding += 1;
          client.send(frame);
        }
      };
      client.onFrame = (frame) => {
        this.#see(frame);
        frames += 1;
        if (frame.type === 'response' && frame.id !== undefined) outstanding -= 1;
        if (!struck && frames >= framesMax && frame.type === 'response') {
          struck = true;
          strike();
        }
        fill();
      };
      for (const frame of this.#opening(index, clients.length)) {
        if (frame.id !== undefined) outstanding += 1;
        client.send(frame);
      }
      fill();
    });
    await Promise.all(clients.map(({ closed }) => closed));
  }

  /** What a client begins with: its share of the kept sessions, and a look at all of them. */
  #opening(index: number, clientCount: number): CommandFrame[] {
    const mine = this.#round > 1 ? [] : KEPT.filter((_, number) => number % clientCount === index);
    const creations = mine.map((sessionId) => this.#command('create_session', sessionId, this.#engine(sessionId)));
    const looks = KEPT.map((sessionId) => ({
      type: 'attach_session',
      sessionId,
      deltas: this.#random.pick(['full', 'compact']),
    }));
    return [...creations.map(({ frame }) => frame), ...looks];
  }

  #engine(sessionId: string): object {
    if (sessionId === 'keep-4') {
      const tool = { name: 'look', args: { at: 'it' }, result: 'seen', delayMs: 3 };
      return {
        engine: 'scripted',
        input: { turns: [[{ text: 'first' }, { tool }, { text: 'then this', delayMs: 2 }]] },
      };
    }
    const delayMs = [0, 0, 2, 5][Number(sessionId.slice(-1)) % 4];
    return { engine: 'echo', input: { delayMs } };
  }

  #next(own: Sent[]): CommandFrame {
    const random = this.#random;
    const draw = random.below(100);
    if (draw < 4 && own.length > 0) return random.pick(own.slice(-20)).frame;
    if (draw < 20) return this.#loosely();
    const sent = this.#orderly(own);
    if (sent.journalled) own.push(sent);
    return sent.frame;
  }

  #orderly(own: readonly Sent[]): Sent {
    const random = this.#random;
    const sessionId = random.pick(KEPT);
    const more: { -readonly [Field in keyof CommandFrame]?: unknown } = {};
    // Only what went before on this connection is sure to be known.
    if (own.length > 0 && random.chance(15)) more['dependsOn'] = [random.pick(own.slice(-10)).id];
    if (random.chance(20)) more['idempotencyKey'] = `key-${this.sent.length}`;
    const draw = random.below(100);
    if (draw < 45) {
      if (random.chance(8)) more['ifSessionVersion'] = random.below(60);
      return this.#command('set_session_name', sessionId, { name: `name ${this.sent.length}`, ...more });
    }
    const message = { message: `words ${this.sent.length} ${'and more '.repeat(random.below(4))}`.trim() };
    if (draw < 70) {
      const respond = random.chance(30) ? { respond: 'accepted' } : {};
      return this.#command('prompt', sessionId, { ...message, ...respond, ...more });
    }
    if (draw < 80) return this.#command('steer', sessionId, { ...message, ...more });
    if (draw < 86) return this.#command('follow_up', sessionId, { ...message, ...more });
    if (draw < 92) return this.#command('abort', sessionId, more);
    return this.#command(random.pick(['get_state', 'get_messages', 'list_sessions']), sessionId, {});
  }

  #loosely(): CommandFrame {
    const random = this.#random;
    const sessionId = random.pick(LOOSE);
    const draw = random.below(100);
    if (draw < 30) return this.#command('create_session', sessionId, this.#engine(random.pick(KEPT))).frame;
    if (draw < 50) return this.#command('delete_session', sessionId, {}).frame;
    const name = `loosely ${this.#counted}`;
    if (draw < 70) return { type: 'set_session_name', sessionId, name };
    if (draw < 80) return { type: 'prompt', sessionId, message: 'a b c' };
    if (draw < 90) return this.#command('prompt', sessionId, { message: 'd e f' }).frame;
    return this.#command('set_session_name', sessionId, { name }).frame;
  }

  #command(type: string, sessionId: string, fields: object): Sent {
    this.#counted += 1;
    const id = `c-${this.#round}-${this.#counted}`;
    const target = type === 'list_sessions' ? {} : { sessionId };
    // What takes long to be stored shows whether anything is told before that.
    const ballast = this.#random.chance(10) ? { ballast: 'x'.repeat(100_000) } : {};
    const journalled = !READS.has(type);
    const frame: CommandFrame = { type, id, ...target, ...fields, ...ballast };
    const sent: Sent = { id, frame, sessionId, journalled, shown: false, finished: undefined, outcome: undefined };
    this.sent.push(sent);
    this.#byId.set(id, sent);
    return sent;
  }

  #see(frame: Frame): void {
    if (frame.type === 'event') {
      if (!frame.ephemeral) this.shownEvents.set(`${String(frame.epoch)}:${String(frame.seq)}`, frame.event!.type);
      return;
    }
    const sent = this.#byId.get(String(frame.type === 'response' ? frame.id : frame.data?.commandId));
    if (sent === undefined) return;
    sent.shown = true;
    if (frame.type === 'command_finished') sent.finished ??= frame.data as Frame;
    if (frame.type === 'response' && !isEarly(sent, frame)) this.tell(sent, outcomeOf(frame));
  }

  /** A client was told this outcome: it is the first one, or the same. */
  tell(sent: Sent, outcome: Outcome): void {
    if (!sent.journalled) return;
    sent.outcome ??= outcome;
    const [before, now] = [sent.outcome, outcome].map((each) => JSON.stringify(each));
    if (before !== now) this.problems.push(`${sent.id} ${sent.frame.type} was told ${before} and then ${now}`);
    // It has no data, so it is no whole outcome.
    const { finished } = sent;
    const fields = ['success', 'errorCode', 'error', 'sessionVersion'] as const;
    if (finished !== undefined && fields.some((field) => finished[field] !== outcome[field])) {
      this.problems.push(`${sent.id} ${sent.frame.type} was told ${now}, others ${JSON.stringify(finished)}`);
    }
  }
}

/** A prompt's early answer says only that the turn has begun. */
export function isEarly({ frame }: Sent, { success, data }: Frame): boolean {
  return frame['respond'] === 'accepted' && success === true && data?.accepted === true;
}
