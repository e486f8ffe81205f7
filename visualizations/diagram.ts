/**
 * A chart as a picture sees it: boxes within boxes, lines of text in them, and arrows between them.
 *
 * What a transition without a target does is a line of its state's box, because nothing is left. A transition from a state to
 * something inside it is drawn from each of the places that it is taken from, because neither layout can draw the arrow
 * from a frame to its own content.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { branchesOf, stateNodes, statePath } from '../src/testing/chart.ts';

export interface Box {
  /** Dotted path. */
  readonly path: string;
  readonly name: string;
  readonly kind: 'simple' | 'compound' | 'parallel' | 'final';
  readonly description: string;
  /** `entry / ...`, `exit / ...`, and what is done without leaving. */
  readonly lines: readonly string[];
  /** Path of the child in which it starts; in a parallel box all of them do. */
  readonly initial: string | undefined;
  readonly boxes: readonly Box[];
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  /** One for each transition that goes this way. */
  readonly labels: readonly Label[];
}

export interface Label {
  readonly event: string;
  readonly guard: string | undefined;
  readonly actions: readonly string[];
}

export interface Diagram {
  readonly name: string;
  readonly description: string;
  /** The whole chart, as the outermost box. */
  readonly root: Box;
  readonly arrows: readonly Arrow[];
}

export function diagramOf(machine: AnyStateMachine): Diagram {
  const arrows = new Map<string, { from: string; to: string; labels: Label[] }>();
  for (const node of stateNodes(machine)) {
    for (const branch of branchesOf(node).flatMap(([, branches]) => branches)) {
      for (const target of (branch.target ?? []) as AnyStateNode[]) {
        for (const from of startsOf(node, target)) {
          const [start, end] = [statePath(from), statePath(target)];
          const arrow = arrows.get(`${start} ${end}`) ?? { from: start, to: end, labels: [] };
          arrow.labels.push(labelOf(branch));
          arrows.set(`${start} ${end}`, arrow);
        }
      }
    }
  }
  const root = boxOf(machine.root);
  return { name: machine.id, description: machine.config.description ?? '', root, arrows: [...arrows.values()] };
}

export function labelText({ event, guard, actions }: Label): string {
  const condition = guard === undefined ? '' : ` [${guard}]`;
  return `${event}${condition}${actions.length > 0 ? ` / ${actions.join(', ')}` : ''}`;
}

const isWithin = (node: AnyStateNode | undefined, outer: AnyStateNode): boolean =>
  node !== undefined && (node === outer || isWithin(node.parent, outer));

/** The boxes from which a transition's arrow is drawn: its state, or what it encloses where the target lies inside. */
function startsOf(source: AnyStateNode, target: AnyStateNode): AnyStateNode[] {
  if (source === target || !isWithin(target, source)) return [source];
  const inside = Object.values(source.states).filter((child) => child.type !== 'final' && child !== target);
  return inside.flatMap((child) => startsOf(child, target));
}

function boxOf(node: AnyStateNode): Box {
  const boxes = Object.values(node.states).map(boxOf);
  const kind = node.type === 'compound' || node.type === 'parallel' || node.type === 'final' ? node.type : 'simple';
  const [initial] = kind === 'compound' ? node.initial.target : [];
  const inside = branchesOf(node).flatMap(([, branches]) => branches.filter(({ target }) => target === undefined));
  const lines = [
    ...[namesOf(node.entry)].filter(Boolean).map((names) => `entry / ${names}`),
    ...inside.filter(({ actions }) => actions.length > 0).map((branch) => labelText(labelOf(branch))),
    ...[namesOf(node.exit)].filter(Boolean).map((names) => `exit / ${names}`),
  ];
  return {
    path: statePath(node),
    name: node.key,
    kind,
    description: node.description ?? '',
    lines,
    initial: initial && statePath(initial as AnyStateNode),
    boxes,
  };
}

function labelOf({ eventType, guard, actions }: AnyTransitionDefinition): Label {
  const event = String(eventType);
  return {
    event: event === '' ? 'always' : event.replace(/^xstate\.(after|done|error)\.(actor\.)?([^.]+).*$/, '$1 $3'),
    guard: guard === undefined ? undefined : nameOf(guard),
    actions: actions.map(nameOf),
  };
}

const nameOf = (item: unknown): string => (typeof item === 'string' ? item : (item as { type: string }).type);

/** Without the actions by which XState keeps its delays. */
const namesOf = (items: readonly unknown[]): string =>
  items
    .map(nameOf)
    .filter((name) => !name.startsWith('xstate.'))
    .join(', ');
