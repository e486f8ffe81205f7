/**
 * A chart's parts as data: its states, and its transitions counted the way coverage counts them.
 *
 * One transition is one branch of one descriptor of one state, whether it was written under `on`, `after`, `always`,
 * `onDone` or `invoke`. A state is named by its dotted path; the root's is the empty string.
 */
import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';

export interface TransitionRef {
  readonly state: string;
  /** The descriptor; the empty string for `always`. */
  readonly event: string;
  /** Index among the branches of its descriptor. */
  readonly branch: number;
}

export const statePath = (node: AnyStateNode): string => node.path.join('.');

/** Every state of a chart in the order of its definition, the root first. */
export function stateNodes(machine: AnyStateMachine): AnyStateNode[] {
  const below = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(below)];
  return below(machine.root);
}

/** A state's branches by descriptor, in the order in which they are tried. */
export function branchesOf(node: AnyStateNode): [descriptor: string, branches: readonly AnyTransitionDefinition[]][] {
  const always = node.always ?? [];
  return [...node.transitions, ...(always.length > 0 ? [['', always] as const] : [])].map(([event, branches]) => [
    event,
    branches,
  ]);
}

/** Every transition of a chart in the order of its definition. */
export function transitionRefs(machine: AnyStateMachine): TransitionRef[] {
  return stateNodes(machine).flatMap((node) =>
    branchesOf(node).flatMap(([event, branches]) =>
      branches.map((_, branch) => ({ state: statePath(node), event, branch })),
    ),
  );
}

/** What coverage calls a transition that was taken. */
export function transitionRef(transition: AnyTransitionDefinition): TransitionRef {
  const { source, eventType } = transition as { source: AnyStateNode; eventType: string };
  for (const [event, branches] of branchesOf(source)) {
    const branch = branches.indexOf(transition);
    if (branch >= 0) return { state: statePath(source), event, branch };
  }
  throw new Error(`The transition on '${eventType}' is none of the state '${source.id}' that it leaves.`);
}

/** One text per transition: for sets, and for sentences. */
export const transitionName = ({ state, event, branch }: TransitionRef): string =>
  `${state === '' ? '(root)' : state} on ${event === '' ? '(always)' : event} [${branch}]`;

/** The deepest active states, as dotted paths: `active.busy.waiting`, or several in parallel regions. */
export function activeStates(snapshot: AnyMachineSnapshot): string[] {
  const nodes: readonly AnyStateNode[] = snapshot._nodes;
  return nodes.filter((node) => node.type === 'atomic' || node.type === 'final').map(statePath);
}
