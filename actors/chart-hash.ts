/**
 * The structure of a chart as one hash: its states, events, targets, guards, names of actions, and the charts of its children.
 *
 * A snapshot of one structure means nothing in another one. What is only for people (descriptions) is left out, and so is what
 * functions do: which they are is said by their names. Pure.
 */
import type { AnyStateMachine } from 'xstate';
import { textHash } from './text-hash.ts';

export function chartHash(machine: AnyStateMachine): string {
  return textHash(JSON.stringify(structureOf(machine)));
}

function structureOf(machine: AnyStateMachine): unknown {
  const { actors, actions, guards } = machine.implementations as unknown as Record<
    string,
    Record<string, unknown> | undefined
  >;
  const children = Object.entries(actors ?? {}).map(([name, logic]) => [
    name,
    isMachine(logic) ? structureOf(logic) : '',
  ]);
  const names = [actions, guards].map((named) => Object.keys(named ?? {}).sort());
  return [machine.id, machine.version ?? '', plain(machine.config), names, children.sort()];
}

/** Keys in order, and nothing that is there for people alone. The order of transitions counts. */
function plain(part: unknown): unknown {
  if (typeof part === 'function') return 'function';
  if (Array.isArray(part)) return part.map(plain);
  if (typeof part !== 'object' || part === null) return part ?? null;
  const entries = Object.entries(part).filter(([key]) => key !== 'description');
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, plain(value)]));
}

function isMachine(logic: unknown): logic is AnyStateMachine {
  return typeof logic === 'object' && logic !== null && 'provide' in logic;
}
