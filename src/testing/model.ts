/**
 * A model: what a chart does not say about itself and a walk over it needs. Examples of its events with their payloads, the
 * inputs to start from, and the projection of its context that keeps the walk finite.
 *
 * A transition that no event can take under these inputs is listed with a reason; the report fails a list that is wrong in
 * either direction.
 */
import type { AnyEventObject, AnyStateMachine, ContextFrom, EventFromLogic, InputFrom } from 'xstate';
import { branchesOf, stateNodes } from './chart.ts';
import type { TransitionRef } from './chart.ts';

/** A transition that no path can take, and why. */
export interface Unreachable extends TransitionRef {
  readonly reason: string;
}

/** A chart with all that a walk over it needs. */
export interface MachineModel {
  readonly machine: AnyStateMachine;
  /** One walk for each; a machine without input has one walk, from `undefined`. */
  readonly inputs: readonly unknown[];
  readonly events: readonly AnyEventObject[];
  readonly project: (context: unknown) => unknown;
  readonly unreachable: readonly Unreachable[];
}

/** What a model adds to its chart. */
export interface MachineExamples<Machine extends AnyStateMachine> {
  /** At least one example for each type; several for a type whose payload decides a guard. */
  readonly events: readonly EventFromLogic<Machine>[];
  readonly inputs?: readonly InputFrom<Machine>[];
  /** The part of the context that tells states apart. All of it unless given. */
  readonly project?: (context: ContextFrom<Machine>) => unknown;
  readonly unreachable?: readonly Unreachable[];
}

/** Makes a model of a chart and examples of its events. */
export function modelOf<Machine extends AnyStateMachine>(
  machine: Machine,
  examples: MachineExamples<Machine>,
): MachineModel {
  const { events, inputs = [undefined], project = (context) => context, unreachable = [] } = examples;
  return { machine, inputs, events, project: project as (context: unknown) => unknown, unreachable };
}

/** Every type of event that a chart may meet: those of its model, and those that it waits for itself. */
export function eventTypesOf({ machine, events }: MachineModel): string[] {
  const awaited = stateNodes(machine).flatMap((node) => branchesOf(node).map(([descriptor]) => descriptor));
  return [...new Set([...events.map(({ type }) => type), ...awaited])];
}
