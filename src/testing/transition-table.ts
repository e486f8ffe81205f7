/**
 * A chart as text: what every state answers to every event. A change of behaviour shows as a small diff that can be reviewed.
 *
 * An answer is a target, `stays` with what it does, `ignored` where the chart says so on purpose, or `·` where the event means
 * nothing: XState lets such an event pass. Guarded branches stand in the order in which they are tried; an answer of an
 * enclosing state is listed under each state that inherits it.
 */
import type { AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { branchesOf, stateNodes, statePath } from './chart.ts';
import { eventTypesOf } from './model.ts';
import type { MachineModel } from './model.ts';

/** The table of a chart: its states with their answers to each event of the model. */
export function transitionTable(model: MachineModel): string {
  const { machine } = model;
  const nodes = stateNodes(machine);
  const events = eventTypesOf(model);
  const width = Math.max(...events.map((event) => titleOf(event).length)) + 2;
  const leaves = nodes.filter(({ type }) => type === 'atomic' || type === 'final');
  return [
    `${machine.id}${machine.version === undefined ? '' : `, version ${machine.version}`}`,
    '',
    ...sideEffects(nodes),
    `(start) -> ${leafOf(machine.root)}`,
    ...leaves.flatMap((leaf) => ['', ...rows(leaf, events, width)]),
    '',
  ].join('\n');
}

/** What is done on entering and leaving, whatever the event. */
function sideEffects(nodes: readonly AnyStateNode[]): string[] {
  const lines = nodes.flatMap((node) =>
    (['entry', 'exit'] as const)
      .map((side) => [side === 'entry' ? 'entering' : 'leaving', namesOf(node[side])] as const)
      .filter(([, names]) => names !== '')
      .map(([verb, names]) => `${verb} ${statePath(node)}: ${names}`),
  );
  return lines.length > 0 ? [...lines, ''] : [];
}

function rows(leaf: AnyStateNode, events: readonly string[], width: number): string[] {
  if (leaf.type === 'final' && leaf.parent?.parent === undefined) return [`${statePath(leaf)}: final, takes nothing`];
  const lines = events.flatMap((event) => {
    const answers = answersOf(leaf, event);
    const shown = answers.length > 0 ? answers : isOwn(event) ? [] : ['·'];
    return shown.map((answer, index) => `  ${(index === 0 ? titleOf(event) : '').padEnd(width)}${answer}`);
  });
  return [statePath(leaf), ...lines];
}

/** The branches that an event meets in a state and around it, until one that always passes. */
function answersOf(leaf: AnyStateNode, event: string): string[] {
  const answers: string[] = [];
  for (let node: AnyStateNode | undefined = leaf; node !== undefined; node = node.parent) {
    const [, branches = []] = branchesOf(node).find(([descriptor]) => descriptor === event) ?? [];
    for (const branch of branches) {
      answers.push(answerOf(branch));
      if (branch.guard === undefined) return answers;
    }
  }
  return answers;
}

function answerOf({ guard, target, actions }: AnyTransitionDefinition): string {
  const condition = guard === undefined ? '' : `[${namesOf([guard])}] `;
  const goal = target?.map((node: AnyStateNode) => leafOf(node)).join(' + ');
  if (goal === undefined && actions.length === 0) return `${condition}ignored`;
  const effects = actions.length > 0 ? ` / ${namesOf(actions)}` : '';
  return `${condition}${goal === undefined ? 'stays' : `-> ${goal}`}${effects}`;
}

/** What a chart sends itself has no line where it does not wait for it: it can't come there. */
const isOwn = (event: string): boolean => event === '' || event.startsWith('xstate.');

const titleOf = (event: string): string => (event === '' ? '(always)' : event);

/** Where an actor comes to rest that is sent to a state. */
function leafOf(node: AnyStateNode): string {
  if (node.type === 'parallel') return Object.values(node.states).map(leafOf).join(' & ');
  const [first] = node.type === 'compound' ? node.initial.target : [];
  return first === undefined ? statePath(node) : leafOf(first as AnyStateNode);
}

/** Names of actions or guards, as the chart gives them. Without those by which XState keeps a delay. */
function namesOf(items: readonly unknown[]): string {
  const name = (item: unknown): string => (typeof item === 'string' ? item : (item as { type: string }).type);
  return items
    .map(name)
    .filter((each) => !each.startsWith('xstate.'))
    .join(', ');
}
