/**
 * The seam between charts and runtime: the one file that creates XState actors.
 *
 * A chart's effects are provided here as data: each pushes an intent on the outbox that stands open around a synchronous
 * `send`. What becomes of intents (held until their facts are durable, then performed; or dropped while folding) is the
 * caller's decision. Actors stay stock XState actors, so inspection tools understand them.
 *
 * Every session, connection and the server is a root actor with a system of its own: stopping an actor scans the scheduled
 * events of its whole system, and spawning copies the parent's children, so one shared system would grow quadratic.
 */
import { createActor } from 'xstate';
import type { Actor, AnyActorLogic, AnyActorRef, AnyStateMachine, InputFrom, InspectionEvent, Snapshot } from 'xstate';
import { effectName } from '../machines/effect.ts';
import type { Clock } from './ports.ts';
import { placeOf } from './supervision-tree.ts';
import type { Place } from './supervision-tree.ts';

/** What a transition wants done outside. */
export interface Intent {
  readonly type: string;
  readonly params: unknown;
}

/** `place`: where the actor that the event is about stands in the supervision tree. */
export type Inspector = (event: InspectionEvent, place: Place | undefined) => void;

export class Host {
  readonly #clock: Clock;
  readonly #roots = new Set<Actor<AnyActorLogic>>();
  /** What ends each inspector's view of each actor. */
  readonly #inspectors = new Map<Inspector, Map<Actor<AnyActorLogic>, () => void>>();
  readonly #provided = new Map<AnyStateMachine, AnyStateMachine>();
  #outbox: Intent[] | undefined;
  /** What an actor died of during the transitions under way: it throws where they were caused. */
  #death: { readonly error: unknown } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of root actors that are running. */
  get rootCount(): number {
    return this.#roots.size;
  }

  /** Actors below the roots. Looks at every root: for those who ask now and then. */
  countChildren(): number {
    let count = 0;
    for (const root of this.#roots) count += countBelow(root);
    return count;
  }

  /**
   * Creates and starts a root actor. The intents of its initial state go to the open outbox; those of transitions that a
   * delay of its chart causes go to `perform`. With a `snapshot` that the same chart persisted it goes on from there, and
   * nothing is initial.
   */
  start<Logic extends AnyActorLogic>(
    logic: Logic,
    id: string,
    input: InputFrom<Logic>,
    perform?: (intent: Intent) => void,
    snapshot?: unknown,
  ): Actor<Logic> {
    const hosted = isMachine(logic) ? (this.#provide(logic) as unknown as Logic) : logic;
    const clock = {
      setTimeout: (fn: (...args: unknown[]) => void, ms: number) =>
        this.#clock.setTimeout(() => {
          for (const intent of this.collect(() => fn())) perform?.(intent);
        }, ms),
      clearTimeout: (handle: unknown) => this.#clock.clearTimeout(handle),
    };
    const actor = createActor<AnyActorLogic>(hosted, {
      id,
      input,
      clock,
      ...(snapshot !== undefined && { snapshot: snapshot as Snapshot<unknown> }),
    });
    // Without this a chart that throws would end the process: the one who caused the transition has to hear of it.
    actor.subscribe({ error: (error: unknown) => (this.#death = { error }) });
    this.#roots.add(actor);
    for (const [inspector, detach] of this.#inspectors) detach.set(actor, attach(actor, inspector));
    actor.start();
    if (snapshot !== undefined && this.#death !== undefined) {
      // The snapshot was none of this chart. Nothing has happened yet but this.
      const { error } = this.#death;
      this.#death = undefined;
      this.stop(actor);
      throw error;
    }
    return actor as unknown as Actor<Logic>;
  }

  stop(actor: Actor<AnyActorLogic>): void {
    this.#roots.delete(actor);
    actor.stop();
    // Whoever watches for weeks must not keep every actor that ever was.
    for (const detach of this.#inspectors.values()) {
      detach.get(actor)?.();
      detach.delete(actor);
    }
  }

  /** Runs transitions and hands back what they want done, in order. Not to be nested. */
  collect(transitions: () => void): readonly Intent[] {
    if (this.#outbox !== undefined) throw new Error('An outbox is open already: intents of two transitions would mix.');
    const outbox: Intent[] = [];
    this.#outbox = outbox;
    try {
      transitions();
    } finally {
      this.#outbox = undefined;
    }
    const death = this.#death;
    this.#death = undefined;
    if (death !== undefined) throw death.error;
    return outbox;
  }

  /** Shows every actor, present and future, to an inspector, until the returned function is called. */
  inspect(inspector: Inspector): () => void {
    const detach = new Map<Actor<AnyActorLogic>, () => void>();
    this.#inspectors.set(inspector, detach);
    for (const actor of this.#roots) detach.set(actor, attach(actor, inspector));
    return () => {
      this.#inspectors.delete(inspector);
      for (const undo of detach.values()) undo();
    };
  }

  /** The machine with every effect, its children's too, pushed on the outbox. Once per machine. */
  #provide(machine: AnyStateMachine): AnyStateMachine {
    const known = this.#provided.get(machine);
    if (known !== undefined) return known;
    const { actions, actors } = machine.implementations as {
      actions: Record<string, unknown>;
      actors: Record<string, unknown>;
    };
    const pushed: Record<string, (args: unknown, params: unknown) => void> = {};
    for (const [name, action] of Object.entries(actions)) {
      const type = effectName(action);
      if (type !== undefined) pushed[name] = (_args, params) => this.#push(type, params);
    }
    const children: Record<string, AnyStateMachine> = {};
    for (const [name, logic] of Object.entries(actors)) {
      if (isMachine(logic)) children[name] = this.#provide(logic);
    }
    const provided = machine.provide({ actions: pushed, actors: children } as never);
    this.#provided.set(machine, provided);
    return provided;
  }

  #push(type: string, params: unknown): void {
    if (this.#outbox === undefined)
      throw new Error(`The effect '${type}' has no open outbox: its intent would be lost.`);
    this.#outbox.push({ type, params });
  }
}

function isMachine(logic: unknown): logic is AnyStateMachine {
  return typeof logic === 'object' && logic !== null && 'provide' in logic;
}

function countBelow(actor: AnyActorRef): number {
  let count = 0;
  for (const child of childrenOf(actor)) count += 1 + countBelow(child);
  return count;
}

function* childrenOf(actor: AnyActorRef): Iterable<AnyActorRef> {
  const { children } = actor.getSnapshot() as { children?: Record<string, AnyActorRef | undefined> };
  for (const id in children) {
    const child = children[id];
    if (child !== undefined) yield child;
  }
}

/**
 * An inspector that throws is its own problem, never the actor's. XState tells of an actor while it is created, when nobody
 * can be attached to it yet: those who come later are told of it, and of what is below it, here.
 */
function attach(actor: Actor<AnyActorLogic>, inspector: Inspector): () => void {
  let detached = false;
  const subscription = actor.system.inspect(show);
  const detach = (): void => {
    detached = true;
    subscription.unsubscribe();
  };
  introduce(actor);
  return detach;

  function show(event: InspectionEvent): void {
    if (detached) return;
    try {
      inspector(event, placeOf((event.actorRef as AnyActorRef).id));
    } catch {
      detach();
    }
  }

  function introduce(actorRef: AnyActorRef): void {
    show({ type: '@xstate.actor', rootId: actor.sessionId, actorRef });
    for (const child of childrenOf(actorRef)) introduce(child);
  }
}
