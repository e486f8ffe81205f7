/**
 * What clients and engines may do to a server, in any order: scripts drawn by fast-check, and the one that plays them.
 *
 * Commands refer to earlier ones by how far back they are, so that a shrunk script still makes sense. Engines do what the
 * script says: they speak, end, fail, hang, or are loaded.
 */
import fc from 'fast-check';
import type { SimulatedClock } from '../../src/testing/clock.ts';
import type { createMemoryStore } from '../../src/journal/memory.ts';
import type { Limits } from '../../actors/limits.ts';
import type { RedactionRules } from '../../src/protocol/redaction-rules.ts';
import { ManualEngine } from './manual-engine.ts';
import type { ManualTurn } from './manual-engine.ts';
import { createWorld } from './world.ts';
import type { Client, World } from './world.ts';

export const SESSIONS = ['a', 'b', 'c'];

type Kind =
  | 'create_session'
  | 'delete_session'
  | 'prompt'
  | 'set_session_name'
  | 'steer'
  | 'follow_up'
  | 'abort'
  | 'get_state'
  | 'attach_session'
  | 'ping';

export type Step =
  | {
      readonly do: 'send';
      readonly kind: Kind;
      readonly session: number;
      /** How many commands back each dependency is. */
      readonly depends: readonly number[];
      readonly version: number | undefined;
      readonly key: number | undefined;
      readonly slow: boolean;
    }
  | { readonly do: 'again'; readonly back: number }
  | { readonly do: 'speak'; readonly turn: number }
  | { readonly do: 'finish'; readonly turn: number; readonly ok: boolean }
  | { readonly do: 'load'; readonly ok: boolean }
  | { readonly do: 'hold' }
  | { readonly do: 'commit' }
  | { readonly do: 'settle' }
  | { readonly do: 'wait'; readonly ms: number };

const kind = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Kind>('create_session') },
  { weight: 1, arbitrary: fc.constant<Kind>('delete_session') },
  { weight: 5, arbitrary: fc.constant<Kind>('prompt') },
  { weight: 5, arbitrary: fc.constant<Kind>('set_session_name') },
  { weight: 2, arbitrary: fc.constantFrom<Kind>('steer', 'follow_up') },
  { weight: 1, arbitrary: fc.constant<Kind>('abort') },
  { weight: 2, arbitrary: fc.constantFrom<Kind>('get_state', 'attach_session', 'ping') },
);

const send = fc.record({
  do: fc.constant('send' as const),
  kind,
  session: fc.nat(SESSIONS.length - 1),
  depends: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }) },
  ),
  version: fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(4) }),
  key: fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(2) }),
  slow: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: send },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('again' as const), back: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('speak' as const), turn: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('finish' as const), turn: fc.nat(3), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('load' as const), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'hold' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'commit' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'settle' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(10_000, 40_000, 1_900_000) }),
  },
);

/** Long ones for the most part, on sessions of which two are there from the start. */
export const scripts = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(step, { minLength: 1, maxLength, size: 'max' }).map((steps) => [...OPENING, ...steps]);

const plainly = (kind: Kind, session: number): Step => ({
  do: 'send',
  kind,
  session,
  depends: [],
  version: undefined,
  key: undefined,
  slow: false,
});

const OPENING: readonly Step[] = [
  plainly('create_session', 0),
  plainly('create_session', 1),
  plainly('attach_session', 0),
  { do: 'settle' },
];

export interface SentCommand {
  readonly id: string;
  readonly type: Kind;
  readonly sessionId: string | undefined;
  readonly dependsOn: readonly string[];
}

export interface PlayerOptions {
  readonly store?: ReturnType<typeof createMemoryStore>;
  readonly clock?: SimulatedClock;
  readonly limits?: Partial<Limits>;
  readonly redaction?: RedactionRules;
  /** What the ids of its commands begin with. */
  readonly prefix?: string;
  readonly journal?: Parameters<typeof createWorld>[0] extends infer O
    ? O extends { journal?: infer J }
      ? J
      : never
    : never;
}

/** A server under a script. */
export class ScriptPlayer {
  readonly world: World;
  readonly engine = new ManualEngine();
  readonly slow = new ManualEngine('slow');
  readonly client: Client;
  /** In the order of sending, each id once. */
  readonly sent: SentCommand[] = [];
  /** Ids that were sent again. What was refused is admitted when it comes again, and acts behind what came between. */
  readonly repeated = new Set<string>();
  readonly #frames: object[] = [];
  readonly #prefix: string;
  readonly #ended = new Set<ManualTurn>();

  private constructor(world: World, engines: { engine: ManualEngine; slow: ManualEngine }, prefix: string) {
    this.world = world;
    this.#prefix = prefix;
    this.engine = engines.engine;
    this.slow = engines.slow;
    this.client = world.connect();
  }

  static async start(options: PlayerOptions = {}): Promise<ScriptPlayer> {
    const engine = new ManualEngine();
    const slow = new ManualEngine('slow');
    slow.ready = false;
    const world = createWorld({ engines: [engine, slow], ...options });
    await world.start();
    return new ScriptPlayer(world, { engine, slow }, options.prefix ?? 'c');
  }

  /** Turns that were begun and have not ended, oldest first. */
  get running(): ManualTurn[] {
    return [...this.engine.turns, ...this.slow.turns].filter((turn) => !this.#ended.has(turn));
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#play(step);
  }

  /** Lets everything come to its end: commits, engines, turns, timeouts. */
  async finish(): Promise<void> {
    this.world.journal.pass();
    for (let round = 0; round < 200; round += 1) {
      await this.world.settle();
      this.slow.loaded();
      const { running } = this;
      for (const turn of running) this.#end(turn, true);
      await this.world.settle();
      if (running.length === 0 && this.slow.loading === 0 && this.running.length === 0) break;
    }
    await this.world.advance(2_000_000);
  }

  async #play(step: Step): Promise<void> {
    const { journal } = this.world;
    switch (step.do) {
      case 'send':
        this.#send(step);
        return;
      case 'again': {
        const frame = this.#frames.at(-step.back);
        if (frame === undefined) return;
        this.repeated.add((frame as { id: string }).id);
        this.client.send(frame);
        return;
      }
      case 'speak': {
        const { running } = this;
        speak(running[step.turn % Math.max(1, running.length)]);
        return;
      }
      case 'finish': {
        const { running } = this;
        const turn = running[step.turn % Math.max(1, running.length)];
        if (turn !== undefined) this.#end(turn, step.ok);
        return;
      }
      case 'load':
        if (step.ok) this.slow.loaded();
        else this.slow.loadFailed(new Error('not to be had'));
        return;
      case 'hold':
        journal.hold();
        return;
      case 'commit':
        journal.release(1);
        return;
      case 'settle':
        await this.world.settle();
        return;
      case 'wait':
        journal.pass();
        await this.world.advance(step.ms);
        return;
      default:
        step satisfies never;
    }
  }

  #send(step: Extract<Step, { do: 'send' }>): void {
    const id = `${this.#prefix}${this.sent.length}`;
    const sessionId = step.kind === 'ping' ? undefined : SESSIONS[step.session]!;
    const dependsOn = step.depends.map((back) => this.sent.at(-back)?.id).filter((other) => other !== undefined);
    const versioned = !['ping', 'create_session', 'attach_session'].includes(step.kind);
    const frame = {
      type: step.kind,
      id,
      ...(sessionId !== undefined && { sessionId }),
      ...(dependsOn.length > 0 && { dependsOn }),
      ...(versioned && step.version !== undefined && { ifSessionVersion: step.version }),
      ...(step.key !== undefined && { idempotencyKey: `k${step.key}` }),
      ...(step.kind === 'create_session' && step.slow && { engine: 'slow' }),
      ...(step.kind === 'set_session_name' && { name: id }),
      ...(['prompt', 'steer', 'follow_up'].includes(step.kind) && { message: id }),
    };
    this.sent.push({ id, type: step.kind, sessionId, dependsOn });
    this.#frames.push(frame);
    this.client.send(frame);
  }

  #end(turn: ManualTurn, ok: boolean): void {
    this.#ended.add(turn);
    if (ok) turn.finish({ status: 'completed', resume: turn.request.commandId });
    else turn.finish({ status: 'failed', kind: 'provider', message: 'no' });
  }
}

function speak(turn: ManualTurn | undefined): void {
  if (turn === undefined) return;
  turn.speak('a', 'b');
  turn.endMessage('ab');
  turn.startMessage('c');
}
