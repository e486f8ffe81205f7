/**
 * One turn of pi: opens its memory at the journalled handle, prompts, and lets go of everything.
 *
 * pi's own races are met here: an abort before its run began would be lost, a steer is enqueued some microtasks after it
 * was given, and what comes in the gap between pi's last look at its queue and the end of the prompt would wait for the
 * next one. State: volatile.
 */
import { stat } from 'node:fs/promises';
import type { Json } from '../../../actors/message.ts';
import type { TurnHandle, TurnRequest, TurnResult } from '../../../actors/ports.ts';
import type { SessionEvent } from '../../../actors/session/event.ts';
import { isObject, textOf } from '../message.ts';
import { userFailure, type TurnFailure } from '../refused-turn.ts';
import { modelFailure, refusal, unavailable } from './failure.ts';
import type { PiInput } from './input.ts';
import { handleOf, openMemory } from './memory.ts';
import type { PiMemory, PiModels, PiModule, PiSession } from './module.ts';
import { chooseModel } from './model.ts';
import { RunEvents } from './run-events.ts';

/** What all turns share. */
export interface PiHost {
  readonly pi: PiModule;
  readonly models: PiModels;
  /** pi's configuration. */
  readonly agentDir: string;
  /** pi's session files. */
  readonly directory: string;
}

type Mode = 'steer' | 'followUp';

interface Nudge {
  readonly mode: Mode;
  readonly message: Json;
}

/** `load` gives what all turns share, or rejects with one line that says what is missing. */
export function runPiTurn(
  load: () => Promise<PiHost>,
  input: PiInput,
  request: TurnRequest,
  emit: (event: SessionEvent) => void,
): TurnHandle {
  const turn = new PiTurn(load, input, request, emit);
  return {
    steer: (message) => turn.take({ mode: 'steer', message }),
    followUp: (message) => turn.take({ mode: 'followUp', message }),
    finished: turn.run(),
  };
}

class PiTurn {
  readonly #load: () => Promise<PiHost>;
  readonly #input: PiInput;
  readonly #request: TurnRequest;
  readonly #events: RunEvents;
  /** Given to pi and perhaps still in its queue, or to be given once there is a session. */
  readonly #given: Record<Mode, Json[]>;
  readonly #enqueuing = new Set<Promise<void>>();
  #session: PiSession | undefined;
  #over = false;
  #bug: Error | undefined;

  constructor(load: () => Promise<PiHost>, input: PiInput, request: TurnRequest, emit: (event: SessionEvent) => void) {
    this.#load = load;
    this.#input = input;
    this.#request = request;
    this.#given = { steer: [...request.steers], followUp: [...request.followUps] };
    this.#events = new RunEvents(emit);
  }

  take(nudge: Nudge): boolean {
    if (this.#over || this.#request.signal.aborted) return false;
    this.#given[nudge.mode].push(nudge.message);
    this.#enqueue(nudge);
    return true;
  }

  async run(): Promise<TurnResult> {
    try {
      const host = await this.#load().catch(unavailable);
      if (this.#request.signal.aborted) return { status: 'completed' };
      if ('status' in host) return host;
      const cwd = this.#request.cwd ?? process.cwd();
      if (!(await isDirectory(cwd))) return userFailure(`The session’s working directory is missing: ${cwd}`);
      const opened = openMemory(host.pi, host.directory, cwd, this.#request.resume);
      if ('problem' in opened) return userFailure(opened.problem);
      const session = await this.#openSession(host, opened.memory, cwd);
      if ('status' in session) return session;
      try {
        return await this.#talk(session, opened.memory);
      } finally {
        session.dispose();
      }
    } finally {
      this.#over = true;
    }
  }

  async #openSession(host: PiHost, memory: PiMemory, cwd: string): Promise<PiSession | TurnFailure> {
    const { pi, models, agentDir } = host;
    const chosen = chooseModel(models, this.#input);
    if ('problem' in chosen) return userFailure(chosen.problem);
    const settingsManager = pi.SettingsManager.inMemory(settingsOf(pi, cwd, agentDir), { projectTrusted: false });
    const common = { cwd, agentDir, settingsManager };
    const resourceLoader = new pi.DefaultResourceLoader({ ...common, noExtensions: true, noThemes: true });
    await resourceLoader.reload();
    const { tools, thinkingLevel } = this.#input ?? {};
    const options = { ...common, resourceLoader, modelRuntime: models, sessionManager: memory };
    const { session } = await pi.createAgentSession({
      ...options,
      ...chosen,
      ...(tools === undefined ? {} : { tools }),
      ...(thinkingLevel === undefined ? {} : { thinkingLevel }),
    });
    return session;
  }

  async #talk(session: PiSession, memory: PiMemory): Promise<TurnResult> {
    const { signal } = this.#request;
    const stop = (): void => void session.abort().catch(() => undefined); // The prompt's end tells.
    session.subscribe((event) => {
      // An abort before pi's run began is forgotten by pi.
      if (event.type === 'agent_start' && signal.aborted) stop();
      try {
        this.#events.take(event);
      } catch (error) {
        this.#found(error); // pi would make an answer of the model out of it.
      }
    });
    signal.addEventListener('abort', stop, { once: true });
    try {
      const refused = await this.#prompt(session);
      if (this.#bug !== undefined) throw this.#bug;
      this.#events.close();
      if (refused !== undefined) return refused;
      const resume = await handleOf(memory, session.sessionFile);
      const result: TurnResult =
        this.#events.failure === undefined || signal.aborted
          ? { status: 'completed' }
          : modelFailure(this.#events.failure);
      return resume === undefined ? result : { ...result, resume };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #found(bug: unknown): void {
    this.#bug ??= bug instanceof Error ? bug : new Error(String(bug));
  }

  /** Prompts, and again for what came too late for pi and too early for us. */
  async #prompt(session: PiSession): Promise<TurnFailure | undefined> {
    this.#session = session;
    for (const mode of ['steer', 'followUp'] as const) {
      for (const message of this.#given[mode]) this.#enqueue({ mode, message });
    }
    let next: Json | undefined = this.#request.input;
    while (next !== undefined) {
      let accepted = false;
      const preflightResult = (ok: boolean): void => void (accepted = ok);
      try {
        await session.prompt(textOf(next), { expandPromptTemplates: false, images: imagesOf(next), preflightResult });
      } catch (error) {
        if (accepted) throw error; // pi could not write its file: no mistake of the user.
        return refusal(error);
      }
      while (this.#enqueuing.size > 0) await Promise.all(this.#enqueuing);
      const [first, ...others] = this.#leftOver(session);
      // In one step with the look that found nothing: a message cannot slip in between and be lost.
      if (first === undefined) this.#over = true;
      for (const nudge of others) this.#enqueue(nudge);
      next = first?.message;
    }
    return undefined;
  }

  /** Takes back what pi still has in its queues. It gives texts alone, so that the newest of each mode are meant. */
  #leftOver(session: PiSession): Nudge[] {
    const stopped = this.#request.signal.aborted || this.#events.failure !== undefined;
    if (stopped || session.pendingMessageCount === 0) return [];
    const { steering, followUp } = session.clearQueue();
    const newest = (mode: Mode, count: number): Nudge[] =>
      count === 0 ? [] : this.#given[mode].slice(-count).map((message) => ({ mode, message }));
    return [...newest('steer', steering.length), ...newest('followUp', followUp.length)];
  }

  #enqueue({ mode, message }: Nudge): void {
    const session = this.#session;
    if (session === undefined) return;
    const enqueued = session[mode](textOf(message), imagesOf(message))
      .catch((error: unknown) => this.#found(error))
      .finally(() => this.#enqueuing.delete(enqueued));
    this.#enqueuing.add(enqueued);
  }
}

/** The user's settings, without what costs money or opens doors on its own. */
function settingsOf(pi: PiModule, cwd: string, agentDir: string): object {
  const settings = pi.SettingsManager.create(cwd, agentDir, { projectTrusted: false }).getGlobalSettings();
  const quiet = { cacheWarming: 'off', enableInstallTelemetry: false, enableAnalytics: false };
  return { ...settings, ...quiet, packages: [], extensions: [] };
}

function imagesOf(message: Json): Json[] {
  return isObject(message) && Array.isArray(message['images']) ? message['images'] : [];
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
