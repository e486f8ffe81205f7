/**
 * A client that watches one session, comes and goes, and checks each frame by rules of its own: events go on behind its cursor,
 * one after the other, unless it is told from where to where not. State: volatile.
 */
import type { Entry } from '../../actors/entry.ts';
import { Client } from './world.ts';
import type { Frame, World } from './world.ts';

export interface ViewerCursor {
  readonly epoch: string;
  readonly seq: number;
}

/** What is known of the events of a session's epoch: what each was, and which ones the journal was told to forget. */
export class EventLedger {
  readonly #events = new Map<string, Map<number, string>>();
  readonly #forgotten = new Map<string, Set<number>>();
  readonly #sessions = new Map<string, string>();

  /** Takes note of what the journal holds: to be called before anything is taken from it. */
  learn(entries: readonly Entry[]): void {
    const epochs = new Map<string, string>();
    for (const entry of entries) {
      const { epoch, last, events } = eventsIn(entry, epochs);
      if (epoch === undefined || last === undefined || entry.blanked === true) continue;
      events.forEach((event, index) => this.#learn(epoch, last - events.length + index + 1, JSON.stringify(event)));
    }
    for (const [lane, epoch] of epochs) this.#sessions.set(epoch, lane);
  }

  /** Notes which events the journal says no more. */
  learnForgotten(entries: readonly Entry[]): void {
    const epochs = new Map<string, string>();
    for (const entry of entries) {
      const { epoch, last, events } = eventsIn(entry, epochs);
      if (epoch === undefined || last === undefined || entry.blanked !== true) continue;
      const forgotten = this.#forgotten.get(epoch) ?? new Set();
      this.#forgotten.set(epoch, forgotten);
      events.forEach((_, index) => forgotten.add(last - index));
    }
  }

  /** Notes which events that were there are not there any more. */
  learnDropped(entries: readonly Entry[]): void {
    const epochs = new Map<string, string>();
    const left = new Map<string, Set<number>>();
    for (const entry of entries) {
      const { epoch, last, events } = eventsIn(entry, epochs);
      if (epoch === undefined || last === undefined) continue;
      const seqs = left.get(epoch) ?? new Set();
      left.set(epoch, seqs);
      events.forEach((_, index) => seqs.add(last - index));
    }
    for (const [epoch, events] of this.#events) {
      const forgotten = this.#forgotten.get(epoch) ?? new Set();
      this.#forgotten.set(epoch, forgotten);
      for (const seq of events.keys()) if (left.get(epoch)?.has(seq) !== true) forgotten.add(seq);
    }
  }

  #learn(epoch: string, seq: number, event: string): void {
    const events = this.#events.get(epoch) ?? new Map<number, string>();
    this.#events.set(epoch, events);
    const known = events.get(seq);
    if (known !== undefined && known !== event)
      throw new Error(`Event ${seq} of ${epoch} has changed: ${known}, ${event}`);
    events.set(seq, event);
  }

  /** Number of the last durable event of an epoch. */
  head(epoch: string): number {
    return this.#events.get(epoch)?.size ?? 0;
  }

  event(epoch: string, seq: number): string | undefined {
    return this.#events.get(epoch)?.get(seq);
  }

  isForgotten(epoch: string, seq: number): boolean {
    return this.#forgotten.get(epoch)?.has(seq) === true;
  }
}

function eventsIn(
  entry: Entry,
  epochs: Map<string, string>,
): { epoch: string | undefined; last: number | undefined; events: readonly object[] } {
  if (entry.kind === 'session.event') {
    return { epoch: epochs.get(entry.lane), last: entry.seq, events: [entry.content.event] };
  }
  if (entry.kind === 'lane.compacted' && entry.content.state !== undefined)
    epochs.set(entry.lane, entry.content.state.epoch);
  if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') {
    return { epoch: undefined, last: undefined, events: [] };
  }
  const { facts = [], events = [] } = entry.content;
  for (const fact of facts) if (fact.type === 'session.opened') epochs.set(entry.lane, fact.epoch);
  return { epoch: epochs.get(entry.lane), last: entry.seq, events };
}

type Mode = 'away' | 'catching up' | 'live';

let asked = 0;

export class Viewer {
  readonly sessionId: string;
  readonly problems: string[] = [];
  /** Each frame about the session, in a word: for whoever has to understand a problem. */
  readonly story: string[] = [];
  /** The durable events that it was shown, to be compared with the journal. */
  readonly shown: { readonly epoch: string; readonly seq: number; readonly event: string }[] = [];
  /** Gaps by retention that it was told of. */
  readonly gaps: { readonly epoch: string; readonly from: number; readonly to: number }[] = [];
  cursor: ViewerCursor | undefined;
  mode: Mode = 'away';
  #client: Client | undefined;
  #reads = true;
  #afters = new Map<string, ViewerCursor | 'start' | 'live'>();
  #watermark = 0;
  /** What has to be told before `session_synced`. */
  #owed: 'foreign_epoch' | 'beyond_head' | undefined;

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  get isConnected(): boolean {
    return this.#client !== undefined && this.#client.closedWith === undefined;
  }

  attach(world: World, after: 'cursor' | 'start' | 'live'): void {
    if (!this.isConnected) this.#connect(world);
    asked += 1;
    const id = `attach ${asked}`;
    const from = after === 'cursor' ? (this.cursor ?? 'start') : after;
    this.#afters.set(id, from);
    this.#client?.send({ type: 'attach_session', id, sessionId: this.sessionId, after: from });
  }

  detach(): void {
    asked += 1;
    this.#client?.send({ type: 'detach_session', id: `detach ${asked}`, sessionId: this.sessionId });
  }

  /** The connection is gone, and what was under way on it. */
  cut(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#reads = true;
    this.mode = 'away';
    this.#afters = new Map();
    if (client === undefined) return;
    this.story.push('cut');
    client.write = () => undefined;
    client.leave();
  }

  /** Takes no bytes from now on. */
  stall(): void {
    this.#reads = false;
  }

  read(): void {
    this.#reads = true;
    this.#client?.read();
  }

  #connect(world: World): void {
    this.cut();
    const client = new Client();
    client.write = (text) => {
      if (!this.#reads) client.bufferedBytes += text.length;
      if (this.#client === client) this.#take(JSON.parse(text) as Frame);
    };
    this.#client = client;
    client.peer = world.system.connect(client, { id: 'local', scopes: ['observe', 'drive'] }, 'test');
  }

  #problem(text: string): void {
    this.problems.push(`${text}, after: ${this.story.slice(-20).join(', ')}`);
  }

  #take(frame: Frame): void {
    if (frame.type === 'response') return this.#answered(frame);
    if (frame.type === 'event') return this.#event(frame);
    const data = (frame['data'] ?? {}) as Record<string, unknown>;
    if (data['sessionId'] !== this.sessionId) return;
    const { epoch, seq, fromSeq, toSeq, reason } = data as {
      epoch: string;
      seq: number;
      fromSeq: number;
      toSeq: number;
      reason: string;
    };
    if (frame.type === 'session_synced') this.#synced(epoch, seq);
    if (frame.type === 'session_gap') this.#gap(epoch, fromSeq, toSeq, reason);
    if (frame.type === 'session_lagging') this.#lagging(epoch, seq);
  }

  #answered(frame: Frame): void {
    const { id, success, command } = frame as unknown as { id: string; success: boolean; command: string };
    if (!success) {
      this.story.push(`${command} refused: ${String(frame['errorCode'])}`);
      return;
    }
    if (command === 'detach_session') {
      this.mode = 'away';
      this.story.push('detached');
      return;
    }
    if (command !== 'attach_session') return;
    const { epoch, watermark } = frame['data'] as { epoch: string; watermark: number };
    const after = this.#afters.get(id)!;
    this.story.push(`attached to ${epoch} at ${watermark} after ${JSON.stringify(after)}`);
    this.mode = 'catching up';
    this.#watermark = watermark;
    this.#owed = undefined;
    if (after === 'start') this.cursor = { epoch, seq: 0 };
    else if (after === 'live') this.cursor = { epoch, seq: watermark };
    else if (after.epoch !== epoch) this.#owe('foreign_epoch', epoch);
    else if (after.seq > watermark) this.#problem(`it has seen event ${after.seq}, which is not there`);
    else this.cursor = after;
  }

  #owe(reason: 'foreign_epoch', epoch: string): void {
    this.#owed = reason;
    this.cursor = { epoch, seq: 0 };
  }

  #event(frame: Frame): void {
    const { epoch, seq, sessionId } = frame as unknown as { epoch: string; seq: number; sessionId: string };
    const { cursor } = this;
    if (sessionId !== this.sessionId) return this.#problem(`an event of ${sessionId}`);
    const isEphemeral = frame['ephemeral'] === true;
    const isNext = cursor?.epoch === epoch && seq === cursor.seq + (isEphemeral ? 0 : 1);
    if (!isNext || this.mode === 'away' || this.#owed !== undefined)
      this.#problem(`event ${seq} of ${epoch} while ${this.mode}`);
    if (isEphemeral && this.mode !== 'live') this.#problem(`a delta behind ${seq} while ${this.mode}`);
    if (this.mode === 'catching up' && seq > this.#watermark) this.#problem(`event ${seq} before synced`);
    this.story.push(`${isEphemeral ? '~' : ''}${seq}`);
    if (isEphemeral) return;
    this.cursor = { epoch, seq };
    this.shown.push({ epoch, seq, event: JSON.stringify(frame['event']) });
  }

  #synced(epoch: string, seq: number): void {
    const { cursor } = this;
    const isDue = this.mode === 'catching up' && this.#owed === undefined && seq === this.#watermark;
    if (!isDue || cursor?.epoch !== epoch || cursor.seq !== seq)
      this.#problem(`synced at ${seq} of ${epoch} while ${this.mode}`);
    this.story.push(`synced ${seq}`);
    this.mode = 'live';
  }

  #gap(epoch: string, from: number, to: number, reason: string): void {
    const { cursor } = this;
    const isDue = this.mode === 'catching up' && cursor?.epoch === epoch && from === cursor.seq + 1;
    const isRight = this.#owed === undefined ? reason === 'retention' && to >= from : reason === this.#owed;
    if (!isDue || !isRight || to > this.#watermark)
      this.#problem(`gap ${from}-${to} ${reason} of ${epoch} while ${this.mode}`);
    if (this.#owed !== undefined && to !== this.#watermark) this.#problem(`gap ${from}-${to} ${reason}`);
    this.story.push(`gap ${from}-${to} ${reason}`);
    if (this.#owed === undefined) this.gaps.push({ epoch, from, to });
    this.#owed = undefined;
    this.cursor = { epoch, seq: to };
  }

  #lagging(epoch: string, seq: number): void {
    const { cursor } = this;
    const isRight = cursor?.epoch === epoch && cursor.seq === seq && this.mode !== 'away' && this.#owed === undefined;
    if (!isRight) this.#problem(`lagging at ${seq} of ${epoch} while ${this.mode} at ${JSON.stringify(cursor)}`);
    this.story.push(`lagging ${seq}`);
    this.mode = 'away';
  }
}
