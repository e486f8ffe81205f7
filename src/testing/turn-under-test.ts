/**
 * Starts one turn of an engine the way the runtime does and keeps what it shows. State: volatile.
 */
import type { Json } from '../../actors/message.ts';
import type { Engine, TurnHandle, TurnRequest, TurnResult } from '../../actors/ports.ts';
import type { SessionEvent } from '../../actors/session/event.ts';
import { createSimulatedClock, type SimulatedClock } from './clock.ts';

export type TurnSetting = Partial<TurnRequest> & {
  readonly controller?: AbortController;
  /** Called with each event, from inside `emit`. */
  readonly onEvent?: (event: SessionEvent) => void;
};

export interface TurnUnderTest {
  readonly request: TurnRequest;
  readonly clock: SimulatedClock;
  readonly handle: TurnHandle;
  readonly events: readonly SessionEvent[];
  /** How many events came before `start` had returned. */
  readonly eventsDuringStart: number;
  abort(): void;
  /** Events up to the abort: what comes later is ignored by the runtime. */
  seenBeforeAbort(): readonly SessionEvent[];
  /** True once an assistant's message is streaming. */
  answering(): boolean;
  /** All text deltas, joined. */
  deltas(): string;
  /** Moves time until the turn has let go. */
  finish(): Promise<TurnResult>;
  /** Lets promises and I/O go on, without moving time, until the turn has let go. */
  settled(): Promise<TurnResult>;
}

export function runTurn(engine: Engine, setting: TurnSetting = {}): TurnUnderTest {
  const { controller = new AbortController(), onEvent, ...overrides } = setting;
  const clock = createSimulatedClock();
  const request: TurnRequest = {
    sessionId: 'session-1',
    commandId: 'command-1',
    effectId: 'effect-1',
    input: { message: 'hello' },
    sessionInput: null,
    cwd: null,
    turn: 1,
    messages: [],
    resume: null,
    steers: [],
    followUps: [],
    signal: controller.signal,
    clock,
    ...overrides,
  };
  const events: SessionEvent[] = [];
  const handle = engine.start(request, (event) => {
    events.push(event);
    onEvent?.(event);
  });
  const eventsDuringStart = events.length;
  let beforeAbort: number | undefined;
  let over = false;
  const end = (): void => void (over = true);
  handle.finished.then(end, end);

  async function settle(stepMs: number): Promise<TurnResult> {
    await until(clock, () => over, stepMs);
    return handle.finished;
  }

  return {
    request,
    clock,
    handle,
    events,
    eventsDuringStart,
    abort() {
      beforeAbort = events.length;
      controller.abort(new Error('aborted by the test'));
    },
    seenBeforeAbort: () => events.slice(0, beforeAbort),
    answering: () =>
      events.some((event) => event.type === 'message_start' && field(event['message'], 'role') === 'assistant'),
    deltas: () =>
      events
        .map((event) => event['assistantMessageEvent'])
        .filter((update) => field(update, 'type') === 'text_delta')
        .map((update) => String(field(update, 'delta')))
        .join(''),
    finish: () => settle(100),
    settled: () => settle(0),
  };
}

/** Lets promises and I/O go on, moving time only if asked to, until the condition holds. */
export async function until(clock: SimulatedClock, condition: () => boolean, stepMs = 0): Promise<void> {
  while (!condition()) await clock.advanceAsync(stepMs);
}

/** Texts of the user's messages, in the order in which they ended. */
export function userTexts(events: readonly SessionEvent[]): string[] {
  return textsOf(events, 'user');
}

/** The assistant's texts, joined. */
export function answerOf(events: readonly SessionEvent[]): string {
  return textsOf(events, 'assistant').join('');
}

function textsOf(events: readonly SessionEvent[], role: string): string[] {
  return events
    .filter((event) => event.type === 'message_end' && field(event['message'], 'role') === role)
    .map((event) => {
      const content = field(event['message'], 'content');
      return (Array.isArray(content) ? content : []).map((part) => field(part, 'text') ?? '').join('');
    });
}

function field(value: Json | undefined, name: string): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined;
}
