/**
 * Plays one path on a running actor and tells, step by step, what a reader of the chart would have predicted: where the actor
 * is, what it holds, which transitions it took and what it wants done outside.
 *
 * The actor is a stock XState actor on a simulated clock that nobody advances: time is an event here, and so are the answers
 * of invoked actors. State: volatile.
 */
import { createActor } from 'xstate';
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine, AnyStateNode, InspectionEvent } from 'xstate';
import { activeStates, statePath, transitionRef } from './chart.ts';
import type { TransitionRef } from './chart.ts';
import { createSimulatedClock } from './clock.ts';
import { recordingOf } from './recorder.ts';
import type { Intent } from './recorder.ts';

/** Events in their order, and the input of the actor that gets them. */
export interface Path {
  readonly input?: unknown;
  readonly events: readonly AnyEventObject[];
}

/** Where an actor is and what it has, as far as coverage tells states apart. */
export interface Position {
  readonly status: string;
  readonly states: readonly string[];
  readonly context: unknown;
  readonly children: readonly string[];
}

/** What one event did. */
export interface PlayedStep {
  /** Undefined for the start. */
  readonly event: AnyEventObject | undefined;
  readonly position: Position;
  readonly snapshot: AnyMachineSnapshot;
  /** What this step wants done outside, in order. */
  readonly intents: readonly Intent[];
  readonly taken: readonly TransitionRef[];
  /** Every state that was active at some time in this step, transient ones included. */
  readonly visited: readonly string[];
}

export function positionOf(snapshot: AnyMachineSnapshot, project: (context: never) => unknown): Position {
  return {
    status: snapshot.status,
    states: activeStates(snapshot),
    context: project(snapshot.context as never),
    children: Object.keys(snapshot.children).sort(),
  };
}

const withAncestors = (node: AnyStateNode): AnyStateNode[] => [
  node,
  ...(node.parent === undefined ? [] : withAncestors(node.parent)),
];

/** The events of a path as one readable line. */
export const pathTitle = (path: Path): string =>
  path.events.length === 0 ? '(start)' : path.events.map(({ type }) => type).join(' > ');

/** Plays a path on an actor of the chart; one step for the start and one for each event. */
export function playPath(machine: AnyStateMachine, path: Path, project = (context: unknown) => context): PlayedStep[] {
  const taken: TransitionRef[] = [];
  const visited = new Set<string>();
  const failures: unknown[] = [];
  const { machine: recorded, take } = recordingOf(machine);
  take();

  const visit = (nodes: readonly AnyStateNode[]): void => nodes.forEach((node) => visited.add(statePath(node)));
  const inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.microstep') return;
    // Children report here as well; theirs are transitions of another chart.
    const own = event._transitions.filter(({ source }) => (source as AnyStateNode).machine.root === recorded.root);
    taken.push(...own.map(transitionRef));
    // What a transition leaves was active, though a start that goes on at once is not reported as a step of its own.
    for (const { source } of own) visit(withAncestors(source as AnyStateNode));
    const snapshot = event.snapshot as AnyMachineSnapshot;
    if (snapshot.machine === recorded) visit(snapshot._nodes);
  };

  const actor = createActor(recorded, { input: path.input, clock: createSimulatedClock(), inspect });
  actor.subscribe({ error: (error) => failures.push(error) });
  const step = (event: AnyEventObject | undefined): PlayedStep => {
    if (failures.length > 0) {
      const at = event === undefined ? 'its start' : `'${event.type}'`;
      throw new Error(`The actor '${machine.id}' failed at ${at} of ${pathTitle(path)}.`, { cause: failures[0] });
    }
    const snapshot: AnyMachineSnapshot = actor.getSnapshot();
    visit(snapshot._nodes);
    const position = positionOf(snapshot, project);
    const done = {
      event,
      position,
      snapshot,
      intents: take(),
      taken: taken.splice(0),
      visited: [...visited],
    };
    visited.clear();
    return done;
  };

  actor.start();
  const steps = [step(undefined)];
  for (const event of path.events) {
    actor.send(event);
    steps.push(step(event));
  }
  actor.stop();
  return steps;
}
