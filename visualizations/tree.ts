/**
 * The supervision tree of `actors/supervision-tree.ts` as pictures: who restarts whom, by which rule, and what kind of state each
 * actor holds. Children stand below their parent in the order of their start.
 */
import type { ChildSpec } from '../actors/supervision-tree.ts';
import { LINE_PX, PAD_PX } from './layout.ts';
import { escape, STYLE } from './svg.ts';

const SOURCE = 'Generated from actors/supervision-tree.ts by `npm run docs`.';
const TITLE = 'The supervision tree';
const DESCRIPTION = 'Each actor with its restart rule and kind of state, below the one that it is a child of.';

/** What a picture says of an actor below its id. */
function linesOf({ machine, restart, state, supervises }: ChildSpec): string[] {
  const lines = [`${restart}, ${state} (${machine})`];
  if (supervises === undefined) return lines;
  const { strategy, restartsMax, periodMs } = supervises;
  const intensity = restartsMax === 0 ? 'restarts none' : `at most ${restartsMax} in ${periodMs / 1000} s`;
  const waits = strategy === 'oneForOne' ? '' : `, waits up to ${supervises.backOffMaxMs / 1000} s`;
  return [...lines, `${strategy}: ${intensity}${waits}`];
}

export function treeMermaid(root: ChildSpec): string {
  const edges = (spec: ChildSpec): string[] =>
    (spec.children ?? []).flatMap((child) => [`  ${spec.id} --> ${child.id}`, ...edges(child)]);
  return [
    'flowchart LR',
    `  %% ${SOURCE}`,
    `  accTitle: ${TITLE}`,
    `  accDescr: ${DESCRIPTION}`,
    ...rowsOf(root, 0).map(
      ({ spec }) => `  ${spec.id}["<b>${spec.id}</b><br/>${linesOf(spec).join('<br/>')}"]:::${spec.state}`,
    ),
    ...edges(root),
    '  classDef durable stroke-width:3px',
    '  classDef rebuildable stroke-width:1px',
    '  classDef volatile stroke-width:1px,stroke-dasharray:4 3',
    '',
  ].join('\n');
}

const INDENT_PX = 44;
const WIDTH_PX = 300;
const GAP_PX = 12;

interface Row {
  readonly spec: ChildSpec;
  readonly depth: number;
  /** Index of the row of its parent; the root has none. */
  readonly parent: number | undefined;
}

/** One row for each actor, parents before their children. */
function rowsOf(spec: ChildSpec, depth: number, before = 0, parent?: number): Row[] {
  const rows: Row[] = [{ spec, depth, parent }];
  for (const child of spec.children ?? []) rows.push(...rowsOf(child, depth + 1, before + rows.length, before));
  return rows;
}

export function treeSvg(root: ChildSpec): string {
  let bottom = PAD_PX;
  const boxes = rowsOf(root, 0).map(({ spec, depth, parent }) => {
    const height = LINE_PX * (1 + linesOf(spec).length) + PAD_PX;
    const box = { spec, parent, x: PAD_PX + depth * INDENT_PX, y: bottom, height };
    bottom += height + GAP_PX;
    return box;
  });
  const width = Math.max(...boxes.map(({ x }) => x)) + WIDTH_PX + PAD_PX;
  const lines = boxes.flatMap(({ parent, x, y, height }) => {
    if (parent === undefined) return [];
    const above = boxes[parent]!;
    const left = above.x + INDENT_PX / 2;
    return [`<path class="arrow" d="M ${left} ${above.y + above.height} V ${y + height / 2} H ${x}"/>`];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom}" viewBox="0 0 ${width} ${bottom}" ` +
      `role="img" aria-labelledby="title description">`,
    `<title id="title">${TITLE}</title>`,
    `<desc id="description">${DESCRIPTION}</desc>`,
    `<!-- ${SOURCE} -->`,
    `<style>\n${STYLE}\n.durable { stroke-width: 3 }\n.volatile { stroke-dasharray: 4 3 }\n</style>`,
    `<rect class="ground" width="${width}" height="${bottom}"/>`,
    ...lines,
    ...boxes.flatMap(({ spec, x, y, height }) => [
      `<g data-actor="${escape(spec.id)}">`,
      `<rect class="box simple ${spec.state}" x="${x}" y="${y}" width="${WIDTH_PX}" height="${height}" rx="6"/>`,
      ...[spec.id, ...linesOf(spec)].map((text, index) => {
        const at = `x="${x + PAD_PX}" y="${y + PAD_PX / 2 + (index + 0.75) * LINE_PX}"`;
        return `<text class="${index === 0 ? 'title' : 'line'}" ${at}>${escape(text)}</text>`;
      }),
      '</g>',
    ]),
    '</svg>',
    '',
  ].join('\n');
}
