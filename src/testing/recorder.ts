/**
 * Stand-ins for what a chart leaves to its host: every effect is recorded, in order, and nothing is done.
 *
 * The charts of child actors are provided in the same way, to any depth. What else an actor may be (a promise, a callback)
 * is replaced by one that never answers: its answers are events that a path brings along. State: volatile.
 */
import { fromCallback, StateMachine } from 'xstate';
import type { AnyStateMachine } from 'xstate';
import { effectName } from '../../machines/effect.ts';

/** What a transition wants done outside. */
export interface Intent {
  readonly type: string;
  readonly params: unknown;
}

const silent = fromCallback(() => undefined);

/** A chart whose effects are recorded instead of done. */
export interface Recording<Machine extends AnyStateMachine> {
  readonly machine: Machine;
  /** What was recorded since the last call, in order. */
  take(): Intent[];
}

/** Providing a chart builds it anew, which costs far more than playing a path: once for each is enough, one path at a time. */
const known = new WeakMap<AnyStateMachine, Recording<AnyStateMachine>>();

export function recordingOf<Machine extends AnyStateMachine>(machine: Machine): Recording<Machine> {
  const before = known.get(machine);
  if (before !== undefined) return before as Recording<Machine>;
  const intents: Intent[] = [];
  const recorded = provided(machine, (intent) => intents.push(intent));
  const recording = { machine: recorded, take: () => intents.splice(0) };
  known.set(machine, recording);
  return recording;
}

function provided<Machine extends AnyStateMachine>(machine: Machine, record: (intent: Intent) => void): Machine {
  const given = machine.implementations as { actions: Record<string, unknown>; actors: Record<string, unknown> };
  const actions: Record<string, unknown> = {};
  for (const [name, action] of Object.entries(given.actions)) {
    const type = effectName(action);
    if (type !== undefined) actions[name] = (_: unknown, params: unknown) => record({ type, params });
  }
  const actors: Record<string, unknown> = {};
  for (const [name, logic] of Object.entries(given.actors)) {
    actors[name] = logic instanceof StateMachine ? provided(logic as AnyStateMachine, record) : silent;
  }
  return machine.provide({ actions, actors } as never) as Machine;
}
