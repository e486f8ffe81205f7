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

export function recordEffects<Machine extends AnyStateMachine>(
  machine: Machine,
  record: (intent: Intent) => void,
): Machine {
  const given = machine.implementations as { actions: Record<string, unknown>; actors: Record<string, unknown> };
  const actions: Record<string, unknown> = {};
  for (const [name, action] of Object.entries(given.actions)) {
    const type = effectName(action);
    if (type !== undefined) actions[name] = (_: unknown, params: unknown) => record({ type, params });
  }
  const actors: Record<string, unknown> = {};
  for (const [name, logic] of Object.entries(given.actors)) {
    actors[name] = logic instanceof StateMachine ? recordEffects(logic as AnyStateMachine, record) : silent;
  }
  return machine.provide({ actions, actors } as never) as Machine;
}
