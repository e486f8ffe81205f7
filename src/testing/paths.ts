/**
 * Paths through a chart that take every transition it has, generated from its definition.
 *
 * `getAdjacencyMap` of `xstate/graph` finds the positions that the model's events lead to, `getShortestPaths` the way to each;
 * a path to every edge follows. The way over `createTestModel` is closed to charts with `after` or `invoke`; here their events
 * are derived from the chart and offered where it waits for them. Coverage is counted on actors that really ran.
 */
import { getNextTransitions } from 'xstate';
import type { AnyEventObject, AnyMachineSnapshot } from 'xstate';
import { getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import type { AdjacencyMap, SerializedSnapshot, TraversalOptions } from 'xstate/graph';
import { stateNodes, statePath, transitionName, transitionRefs } from './chart.ts';
import { eventTypesOf } from './model.ts';
import type { MachineModel, Unreachable } from './model.ts';
import { pathTitle, playPath, positionOf } from './play.ts';
import type { Path, PlayedStep, Position } from './play.ts';

/** More events than any walk here tries: what passes it has a context that the model has to project onto fewer values. */
const STEPS_MAX = 20_000;

/** A path, and where the chart says that it leads. */
export interface WalkedPath extends Path {
  /** Where the chart's definition says that each step leads; one more than there are events, the first is the start. */
  readonly positions: readonly Position[];
}

/** A position, the way to it, and what its chart does with every event of the model. */
export interface Vertex {
  readonly path: WalkedPath;
  readonly edges: readonly { readonly event: AnyEventObject; readonly to: Position }[];
}

/** How many there are, and how many of them some path meets. */
export interface Coverage {
  readonly total: number;
  readonly covered: number;
}

/** What `troupe paths` prints. */
export interface PathReport {
  readonly machine: string;
  readonly states: Coverage;
  readonly transitions: Coverage;
  readonly unreachable: readonly Unreachable[];
  readonly paths: readonly Path[];
}

/** The model's events, and those that the chart sends to itself: of delays and of what it invokes. */
function eventsOf(model: MachineModel): AnyEventObject[] {
  const given = new Set(model.events.map(({ type }) => type));
  const own = eventTypesOf(model).filter((type) => /^xstate\.(after|done\.actor|error\.actor)\./.test(type));
  return [...model.events, ...own.filter((type) => !given.has(type)).map((type) => ({ type }))];
}

/** Events of the chart to itself come only where they are awaited; everything else may come at any time. */
const mayCome = (snapshot: AnyMachineSnapshot, event: AnyEventObject): boolean =>
  !event.type.startsWith('xstate.') || getNextTransitions(snapshot).some(({ eventType }) => eventType === event.type);

type Traversal = TraversalOptions<AnyMachineSnapshot, AnyEventObject, unknown>;

function adjacency({ machine }: MachineModel, options: Traversal): AdjacencyMap<AnyMachineSnapshot, AnyEventObject> {
  try {
    return getAdjacencyMap<AnyMachineSnapshot, AnyEventObject, unknown>(machine, options);
  } catch (cause) {
    if (!String(cause).includes('limit exceeded')) throw cause;
    const remedy = 'let the model project its context onto fewer values';
    throw new Error(`The walk over '${machine.id}' does not end within ${STEPS_MAX} steps: ${remedy}.`, { cause });
  }
}

function walk(model: MachineModel, input: unknown): Vertex[] {
  const { machine } = model;
  const position = (snapshot: AnyMachineSnapshot): Position => positionOf(snapshot, model.project);
  const options = {
    ...(input !== undefined && { input }),
    events: eventsOf(model),
    filterEvents: mayCome,
    serializeState: (snapshot: AnyMachineSnapshot) => JSON.stringify(position(snapshot)),
    stopWhen: (snapshot: AnyMachineSnapshot): boolean => snapshot.status !== 'active',
    limit: STEPS_MAX,
  };
  const edges = adjacency(model, options);
  return getShortestPaths(machine, options).map(({ state, steps }) => ({
    path: {
      ...(input !== undefined && { input }),
      events: steps.slice(1).map(({ event }) => event as AnyEventObject),
      positions: steps.map((step) => position(step.state)),
    },
    edges: Object.values(edges[options.serializeState(state) as SerializedSnapshot]?.transitions ?? {}).map((edge) => ({
      event: edge.event,
      to: position(edge.state),
    })),
  }));
}

/** Every position that the model's events lead to, for each of its inputs. */
export const verticesOf = (model: MachineModel): Vertex[] => model.inputs.flatMap((input) => walk(model, input));

/** A path to every edge that changes or causes something, without those that begin another one. */
export function pathsOf(model: MachineModel): WalkedPath[] {
  const paths = verticesOf(model).flatMap(({ path, edges }) =>
    edges.map(({ event, to }) => ({
      ...path,
      events: [...path.events, event],
      positions: [...path.positions, to],
    })),
  );
  const effective = paths.filter((path) => (play(model, path).at(-1)?.taken.length ?? 0) > 0);
  const name = (path: Path, length: number): string => JSON.stringify([path.input, path.events.slice(0, length)]);
  const begun = new Set(effective.flatMap((path) => path.events.map((_, length) => name(path, length))));
  return effective.filter((path) => !begun.has(name(path, path.events.length)));
}

const play = (model: MachineModel, path: Path): PlayedStep[] => playPath(model.machine, path, model.project);

/**
 * Plays a path and holds every step against the chart's definition.
 *
 * @throws Error with a sentence that names the step and both positions.
 */
export function verifyPath(model: MachineModel, path: WalkedPath): PlayedStep[] {
  const steps = play(model, path);
  steps.forEach(({ position }, index) => {
    const [found, expected] = [JSON.stringify(position), JSON.stringify(path.positions[index])];
    if (found === expected) return;
    const title = pathTitle({ events: path.events.slice(0, index) });
    throw new Error(`The actor '${model.machine.id}' is at ${found} after ${title}, and should be at ${expected}.`);
  });
  return steps;
}

/**
 * The fewest paths that a simple choice finds, the longest first, and what they cover.
 *
 * @throws Error when a transition is neither taken nor listed as unreachable, or is both.
 */
export function reportPaths(model: MachineModel): PathReport {
  const states = new Set<string>();
  const transitions = new Set<string>();
  const chosen: Path[] = [];
  const candidates = pathsOf(model).sort((a, b) => b.events.length - a.events.length);
  for (const path of [...candidates, ...verticesOf(model).map((vertex) => vertex.path)]) {
    const steps = verifyPath(model, path);
    const before = states.size + transitions.size;
    for (const { taken, visited } of steps) {
      for (const state of visited) states.add(state);
      for (const transition of taken) transitions.add(transitionName(transition));
    }
    if (states.size + transitions.size === before) continue;
    chosen.push({ ...(path.input !== undefined && { input: path.input }), events: path.events });
  }
  const nodes = stateNodes(model.machine).filter(({ type }) => type !== 'history');
  const every = transitionRefs(model.machine);
  checkUnreachable(model, every.map(transitionName), transitions);
  return {
    machine: model.machine.id,
    states: { total: nodes.length, covered: nodes.filter((node) => states.has(statePath(node))).length },
    transitions: { total: every.length, covered: transitions.size },
    unreachable: model.unreachable,
    paths: chosen,
  };
}

function checkUnreachable({ machine, unreachable }: MachineModel, every: string[], taken: Set<string>): void {
  const listed = new Set(unreachable.map(transitionName));
  const unexplained = every.filter((name) => !taken.has(name) && !listed.has(name));
  const wrong = [...listed].filter((name) => taken.has(name) || !every.includes(name));
  if (unexplained.length > 0) {
    throw new Error(
      `No path of '${machine.id}' takes ${unexplained.join(', ')}: the model lacks an event or a reason.`,
    );
  }
  if (wrong.length > 0) {
    throw new Error(`The model of '${machine.id}' lists ${wrong.join(', ')} as unreachable, and that is not so.`);
  }
}
