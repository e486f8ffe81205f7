/**
 * Where the boxes, arrows and texts of a chart lie. ELK's layered layout does the work; this file knows its vocabulary and
 * the size of text, which nobody can measure without drawing it: widths are estimated generously.
 */
import Elk from 'elkjs/lib/elk.bundled.js';
import type { ElkExtendedEdge, ElkNode, ElkPoint, LayoutOptions } from 'elkjs/lib/elk.bundled.js';
import { labelText } from './diagram.ts';
import type { Arrow, Box, Diagram, Label } from './diagram.ts';

export const TITLE_PX = 14;
export const TEXT_PX = 12;
export const LINE_PX = 16;
export const PAD_PX = 12;
const DOT_PX = 10;
/** Average advance of a letter, as a share of the font's size. */
const ADVANCE = 0.57;
/** A longer label is broken before what it does. */
const LABEL_CHARS_MAX = 24;

interface Placed {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedBox extends Placed {
  readonly box: Box;
  readonly depth: number;
}

export interface PlacedLabel extends Placed {
  readonly lines: readonly LabelLine[];
  /** Does it stand left of its arrow? Its text then ends there, whatever its real width is. */
  readonly isLeft: boolean;
}

export interface PlacedArrow {
  readonly points: readonly ElkPoint[];
  /** Undefined for the arrow from a start. */
  readonly label: PlacedLabel | undefined;
}

/** Parts of one line, to be drawn one after the other. */
export type LabelLine = readonly { readonly kind: 'event' | 'guard' | 'actions'; readonly text: string }[];

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Outer boxes before those inside them. */
  readonly boxes: readonly PlacedBox[];
  /** The dots at which boxes start. */
  readonly dots: readonly Placed[];
  readonly arrows: readonly PlacedArrow[];
}

const elk = new Elk.default();

const COMMON: LayoutOptions = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.spacing.nodeNode': '36',
  'elk.spacing.edgeNode': '18',
  'elk.spacing.edgeEdge': '14',
  'elk.spacing.edgeLabel': '4',
  'elk.layered.spacing.nodeNodeBetweenLayers': '32',
  'elk.layered.spacing.edgeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '14',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
};

export async function layoutOf({ root, arrows }: Diagram): Promise<Layout> {
  const order = boxesOf(root, 0).map(({ box }) => box.path);
  const labels = arrows.map((arrow) => arrow.labels.flatMap(labelLines));
  const graph: ElkNode = {
    id: '(picture)',
    layoutOptions: {
      ...COMMON,
      'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
      'elk.json.shapeCoords': 'ROOT',
      'elk.json.edgeCoords': 'ROOT',
      'elk.padding': '[top=8,left=8,bottom=8,right=8]',
      // The same picture on every machine and every day.
      'elk.randomSeed': '1',
    },
    children: [nodeOf(root)],
    edges: [...arrows.map((arrow, index) => edgeOf(arrow, index, order, labels[index] ?? [])), ...startsOf(root)],
  };
  const placed = await elk.layout(graph);
  const shapes = new Map<string, Placed>();
  collect(placed, shapes);
  const edges = new Map((placed.edges ?? []).map((edge) => [edge.id, edge]));
  return {
    width: Math.ceil(placed.width ?? 0),
    height: Math.ceil(placed.height ?? 0),
    boxes: boxesOf(root, 0).map(({ box, depth }) => ({ box, depth, ...shapes.get(idOf(box))! })),
    dots: [...shapes].filter(([id]) => id.endsWith(START)).map(([, shape]) => shape),
    arrows: [
      ...arrows.map((_, index) => placedArrow(edges.get(`arrow ${index}`)!, labels[index] ?? [])),
      ...startsOf(root).map(({ id }) => placedArrow(edges.get(id)!, [])),
    ],
  };
}

const START = ' (start)';
const idOf = (box: Box): string => `/${box.path}`;

const textWidth = (text: string, fontPx: number): number => Math.ceil(text.length * fontPx * ADVANCE);

function nodeOf(box: Box): ElkNode {
  const title = textWidth(box.name, TITLE_PX) * 1.1;
  const width = Math.max(title, ...box.lines.map((line) => textWidth(line, TEXT_PX))) + 2 * PAD_PX;
  const height = LINE_PX * (1 + box.lines.length) + PAD_PX;
  if (box.boxes.length === 0) return { id: idOf(box), width: Math.max(80, width), height: Math.max(36, height) };
  return {
    id: idOf(box),
    layoutOptions: {
      ...COMMON,
      'elk.padding': `[top=${height + PAD_PX},left=${PAD_PX * 1.5},bottom=${PAD_PX * 1.5},right=${PAD_PX * 1.5}]`,
      'elk.nodeSize.constraints': '[MINIMUM_SIZE]',
      'elk.nodeSize.minimum': `(${width},${height})`,
    },
    children: [
      ...(box.initial === undefined ? [] : [{ id: `${idOf(box)}${START}`, width: DOT_PX, height: DOT_PX }]),
      ...box.boxes.map(nodeOf),
    ],
  };
}

function edgeOf(arrow: Arrow, index: number, order: string[], lines: readonly LabelLine[]): ElkExtendedEdge {
  // What comes first in the chart comes first in the picture, unless arrows back and forth leave no choice.
  const forward = order.indexOf(arrow.from) < order.indexOf(arrow.to);
  const width = Math.max(...lines.map((line) => lineWidth(line))) + 8;
  const label = { text: arrow.labels.map(labelText).join('\n'), width, height: lines.length * LINE_PX };
  return {
    id: `arrow ${index}`,
    layoutOptions: { 'elk.layered.priority.direction': forward ? '10' : '1' },
    sources: [`/${arrow.from}`],
    targets: [`/${arrow.to}`],
    labels: [{ ...label, layoutOptions: { 'elk.edgeLabels.placement': 'CENTER' } }],
  };
}

function startsOf(box: Box): ElkExtendedEdge[] {
  const inside = box.boxes.flatMap(startsOf);
  if (box.initial === undefined) return inside;
  const from = `${idOf(box)}${START}`;
  const layoutOptions = { 'elk.layered.priority.direction': '100' };
  return [{ id: from, sources: [from], targets: [`/${box.initial}`], layoutOptions }, ...inside];
}

function labelLines({ event, guard, actions }: Label): LabelLine[] {
  const head: LabelLine = [
    { kind: 'event', text: event },
    ...(guard === undefined ? [] : [{ kind: 'guard' as const, text: ` [${guard}]` }]),
  ];
  if (actions.length === 0) return [head];
  const tail = { kind: 'actions' as const, text: `/ ${actions.join(', ')}` };
  const whole: LabelLine = [...head, { ...tail, text: ` ${tail.text}` }];
  return whole.map(({ text }) => text).join('').length > LABEL_CHARS_MAX ? [head, [tail]] : [whole];
}

const lineWidth = (line: LabelLine): number => textWidth(line.map(({ text }) => text).join(''), TEXT_PX);

function collect(node: ElkNode, into: Map<string, Placed>): void {
  const { id, x = 0, y = 0, width = 0, height = 0 } = node;
  into.set(id, { x, y, width, height });
  for (const child of node.children ?? []) collect(child, into);
}

const boxesOf = (box: Box, depth: number): { box: Box; depth: number }[] => [
  { box, depth },
  ...box.boxes.flatMap((child) => boxesOf(child, depth + 1)),
];

function placedArrow(edge: ElkExtendedEdge, lines: readonly LabelLine[]): PlacedArrow {
  const [section] = edge.sections ?? [];
  if (section === undefined) throw new Error(`The layout has no way for '${edge.id}'.`);
  const [shape] = edge.labels ?? [];
  const { x = 0, y = 0, width = 0, height = 0 } = shape ?? {};
  const points = [section.startPoint, ...(section.bendPoints ?? []), section.endPoint];
  const crossed = (from: ElkPoint, to: ElkPoint): boolean =>
    Math.min(from.y, to.y) <= y + height && Math.max(from.y, to.y) >= y;
  const beside = points.findIndex((point, index) => index > 0 && crossed(points[index - 1]!, point));
  return { points, label: shape && { x, y, width, height, lines, isLeft: (points[beside]?.x ?? 0) > x + width / 2 } };
}
